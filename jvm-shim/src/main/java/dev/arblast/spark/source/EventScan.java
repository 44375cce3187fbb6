package dev.arblast.spark.source;

import dev.arblast.internal.EventCursor;
import dev.arblast.internal.Table;
import org.apache.spark.sql.SparkSession;
import org.apache.spark.sql.connector.read.InputPartition;
import org.apache.spark.sql.connector.read.PartitionReaderFactory;
import org.apache.spark.sql.types.StructType;

/** A read of the events of an app in an embedded store: one task, on the driver's machine if that can be had. */
final class EventScan extends ColumnarScan {
  private final String home;
  private final String app;

  EventScan(String home, String app) {
    super(SourceTable.EVENTS);
    this.home = home;
    this.app = app;
  }

  @Override
  public String description() {
    return "arblast events of " + app + " in " + home;
  }

  @Override
  public InputPartition[] planInputPartitions() {
    return new InputPartition[] {new Driver(SparkSession.active().sparkContext().getConf().get("spark.driver.host", "localhost"))};
  }

  @Override
  public PartitionReaderFactory createReaderFactory() {
    return new Readers(home, app, readSchema());
  }

  /** Everything, best read where the driver is: there the store was found. */
  private static final class Driver implements InputPartition {
    private static final long serialVersionUID = 1;

    private final String host;

    Driver(String host) {
      this.host = host;
    }

    @Override
    public String[] preferredLocations() {
      return new String[] {host};
    }
  }

  private static final class Readers extends ColumnarReaders {
    private static final long serialVersionUID = 1;

    private final String home;
    private final String app;

    Readers(String home, String app, StructType columns) {
      super(SourceTable.EVENTS, columns);
      this.home = home;
      this.app = app;
    }

    @Override
    Pages open(InputPartition partition) {
      EventCursor cursor = new EventCursor(Home.check(home, app), app);
      return new Pages() {
        @Override
        public Table next() {
          return cursor.next();
        }

        @Override
        public void close() {
          cursor.close();
        }
      };
    }
  }
}
