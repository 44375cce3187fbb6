package dev.arblast.spark.source;

import dev.arblast.internal.Batch;
import dev.arblast.internal.EventAppender;
import dev.arblast.internal.StagedEvents;
import org.apache.spark.sql.catalyst.InternalRow;
import org.apache.spark.sql.connector.write.BatchWrite;
import org.apache.spark.sql.connector.write.DataWriter;
import org.apache.spark.sql.connector.write.DataWriterFactory;
import org.apache.spark.sql.connector.write.PhysicalWriteInfo;
import org.apache.spark.sql.connector.write.Write;
import org.apache.spark.sql.connector.write.WriteBuilder;
import org.apache.spark.sql.connector.write.WriterCommitMessage;
import org.slf4j.LoggerFactory;

/**
 * An append of events to an embedded store. Tasks check and stage them; the driver, on whose machine the store is, stores those of all
 * tasks with one commit. What failed or repeated tasks staged never gets there.
 */
final class EventWrite implements WriteBuilder, Write, BatchWrite {
  private final String home;
  private final String app;
  private final StoredColumns columns;
  private final long nowMs = System.currentTimeMillis();

  EventWrite(String home, String app, StoredColumns columns) {
    this.home = home;
    this.app = app;
    this.columns = columns;
  }

  @Override
  public Write build() {
    return this;
  }

  @Override
  public BatchWrite toBatch() {
    return this;
  }

  @Override
  public String description() {
    return "arblast events of " + app + " in " + home;
  }

  /** Spark logs it. */
  @Override
  public String toString() {
    return description();
  }

  @Override
  public DataWriterFactory createBatchWriterFactory(PhysicalWriteInfo info) {
    return new Writers(columns);
  }

  @Override
  public void commit(WriterCommitMessage[] tasks) {
    try (EventAppender appender = new EventAppender(home, app, nowMs)) {
      for (WriterCommitMessage task : tasks) {
        appender.add(((Staged) task).events);
      }
      String warning = appender.commit();
      if (!warning.isEmpty()) {
        LoggerFactory.getLogger(EventWrite.class).warn(warning);
      }
    }
  }

  @Override
  public void abort(WriterCommitMessage[] tasks) {
    // nothing was stored
  }

  /** What a task has staged. */
  private static final class Staged implements WriterCommitMessage {
    private static final long serialVersionUID = 1;

    final StagedEvents events;

    Staged(StagedEvents events) {
      this.events = events;
    }
  }

  private static final class Writers implements DataWriterFactory {
    private static final long serialVersionUID = 1;

    private final StoredColumns columns;

    Writers(StoredColumns columns) {
      this.columns = columns;
    }

    @Override
    public DataWriter<InternalRow> createWriter(int partition, long task) {
      return new Writer(columns);
    }
  }

  /** Stages the rows of a task. */
  private static final class Writer implements DataWriter<InternalRow> {
    private final StoredColumns columns;
    private final Batch batch = new Batch(Batch.EVENT_TEXTS, Batch.EVENT_NUMBERS);
    private StagedEvents staged = new StagedEvents();

    Writer(StoredColumns columns) {
      this.columns = columns;
    }

    @Override
    public void write(InternalRow row) {
      if (columns.write(row, batch)) {
        staged.add(batch);
      }
    }

    @Override
    public WriterCommitMessage commit() {
      staged.add(batch);
      return new Staged(staged);
    }

    @Override
    public void abort() {
      staged = null;
    }

    @Override
    public void close() {
      // the batch belongs to the garbage collector
    }
  }
}
