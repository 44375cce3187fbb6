package dev.arblast.spark.source;

import dev.arblast.internal.EventCursor;
import dev.arblast.internal.Table;
import org.apache.spark.sql.SparkSession;
import org.apache.spark.sql.connector.read.Batch;
import org.apache.spark.sql.connector.read.InputPartition;
import org.apache.spark.sql.connector.read.PartitionReaderFactory;
import org.apache.spark.sql.connector.read.Scan;
import org.apache.spark.sql.connector.read.SupportsPushDownRequiredColumns;
import org.apache.spark.sql.types.StructType;

/** A read of the events of an app in an embedded store: one task, on the driver's machine if that can be had. */
final class EventScan implements SupportsPushDownRequiredColumns, Scan, Batch {
  private final String home;
  private final String app;
  private StructType columns = SourceTable.EVENTS.schema();

  EventScan(String home, String app) {
    this.home = home;
    this.app = app;
  }

  @Override
  public void pruneColumns(StructType required) {
    columns = required;
  }

  @Override
  public Scan build() {
    return this;
  }

  @Override
  public StructType readSchema() {
    return columns;
  }

  @Override
  public String description() {
    return "arblast events of " + app + " in " + home;
  }

  @Override
  public Batch toBatch() {
    return this;
  }

  @Override
  public InputPartition[] planInputPartitions() {
    return new InputPartition[] {new Driver(SparkSession.active().sparkContext().getConf().get("spark.driver.host", "localhost"))};
  }

  @Override
  public PartitionReaderFactory createReaderFactory() {
    return new Readers(home, app, columns);
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
