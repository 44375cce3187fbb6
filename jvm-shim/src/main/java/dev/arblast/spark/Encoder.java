package dev.arblast.spark;

import dev.arblast.internal.Batch;
import dev.arblast.internal.TextColumn;
import dev.arblast.internal.TrainingSession;
import java.nio.Buffer;
import java.nio.ByteBuffer;
import java.util.Collections;
import java.util.Iterator;
import org.apache.hadoop.io.BytesWritable;
import org.apache.hadoop.io.NullWritable;
import org.apache.spark.TaskContext;
import org.apache.spark.TaskKilledException;
import org.apache.spark.api.java.function.FlatMapFunction;
import org.apache.spark.sql.catalyst.InternalRow;
import org.apache.spark.unsafe.types.UTF8String;
import scala.Tuple2;

/** Reads the rows of a partition where they are, into one {@link Encoded}. What rows are and mean is up to its kinds. */
abstract class Encoder<R> implements FlatMapFunction<Iterator<R>, Encoded> {
  private static final long serialVersionUID = 1;

  private final String engine;
  private final long nowMs;

  Encoder(String engine, long nowMs) {
    this.engine = engine;
    this.nowMs = nowMs;
  }

  /** Adds all rows to the session; gives those that were none. */
  abstract long read(Iterator<R> rows, TrainingSession session);

  @Override
  public Iterator<Encoded> call(Iterator<R> rows) {
    try (TrainingSession session = TrainingSession.part(engine, nowMs)) {
      long bad = read(rows, session);
      return Collections.singletonList(new Encoded(session.portion(), bad)).iterator();
    }
  }

  /** Ends a task that nobody waits for any more. */
  static void look() {
    TaskContext task = TaskContext.get();
    if (task != null && task.isInterrupted()) {
      throw new TaskKilledException();
    }
  }

  /** Rows that go in by batches. */
  abstract static class Rows<R> extends Encoder<R> {
    Rows(String engine, long nowMs) {
      super(engine, nowMs);
    }

    /** A batch for such rows. */
    abstract Batch batch();

    /** Adds a row to the batch. */
    abstract void add(R row, Batch batch);

    /** Sends the batch in; gives the rows that were none. */
    abstract long push(TrainingSession session, Batch batch);

    @Override
    long read(Iterator<R> rows, TrainingSession session) {
      Batch batch = batch();
      long bad = 0;
      while (rows.hasNext()) {
        add(rows.next(), batch);
        if (batch.endRow()) {
          bad += push(session, batch);
          look();
        }
      }
      return bad + push(session, batch);
    }
  }

  /** Blocks of lines, as {@link TextBlocks} reads them: event JSON, or {@code user,item} of an indicator that is not negative. */
  static final class Blocks extends Encoder<Tuple2<NullWritable, BytesWritable>> {
    static final int EVENTS = -1;
    private final int indicator;
    private final boolean skipBad;

    Blocks(String engine, long nowMs, int indicator, boolean skipBad) {
      super(engine, nowMs);
      this.indicator = indicator;
      this.skipBad = skipBad;
    }

    @Override
    long read(Iterator<Tuple2<NullWritable, BytesWritable>> blocks, TrainingSession session) {
      ByteBuffer buffer = ByteBuffer.allocateDirect(2 * TextBlocks.BLOCK);
      long bad = 0;
      while (blocks.hasNext()) {
        BytesWritable block = blocks.next()._2();
        if (block.getLength() > buffer.capacity()) {
          buffer = ByteBuffer.allocateDirect(block.getLength());
        }
        ((Buffer) buffer).clear();
        buffer.put(block.getBytes(), 0, block.getLength());
        ((Buffer) buffer).flip();
        if (indicator == EVENTS) {
          bad += session.pushText(buffer.slice(), skipBad);
        } else {
          session.pushText(indicator, buffer.slice());
        }
        look();
      }
      return bad;
    }
  }

  static void add(TextColumn column, InternalRow row, int ordinal) {
    if (row.isNullAt(ordinal)) {
      column.add((byte[]) null);
    } else {
      UTF8String text = row.getUTF8String(ordinal);
      column.add(text.getByteBuffer());
    }
  }

  /** Rows of one column: a line of event JSON. */
  static final class Lines extends Rows<InternalRow> {
    private final boolean skipBad;

    Lines(String engine, long nowMs, boolean skipBad) {
      super(engine, nowMs);
      this.skipBad = skipBad;
    }

    @Override
    Batch batch() {
      return new Batch(1, 0);
    }

    @Override
    void add(InternalRow row, Batch batch) {
      add(batch.text(0), row, 0);
    }

    @Override
    long push(TrainingSession session, Batch batch) {
      return session.pushLines(batch, skipBad);
    }
  }

  /** Rows of the columns that {@link EventColumns} selects. */
  static final class Events extends Rows<InternalRow> {
    private final EventColumns columns;
    private final boolean skipBad;

    Events(String engine, long nowMs, EventColumns columns, boolean skipBad) {
      super(engine, nowMs);
      this.columns = columns;
      this.skipBad = skipBad;
    }

    @Override
    Batch batch() {
      return new Batch(Batch.EVENT_TEXTS, Batch.EVENT_NUMBERS);
    }

    @Override
    void add(InternalRow row, Batch batch) {
      columns.add(row, batch);
    }

    @Override
    long push(TrainingSession session, Batch batch) {
      return session.pushEvents(batch, skipBad);
    }
  }

  /** Interactions of an indicator. */
  abstract static class Pairs<R> extends Rows<R> {
    private final int indicator;

    Pairs(String engine, long nowMs, int indicator) {
      super(engine, nowMs);
      this.indicator = indicator;
    }

    @Override
    Batch batch() {
      return new Batch(2, 0);
    }

    @Override
    long push(TrainingSession session, Batch batch) {
      session.pushPairs(indicator, batch);
      return 0;
    }
  }

  /** Rows of two columns, user and item; those without either do not count. */
  static final class PairRows extends Pairs<InternalRow> {
    PairRows(String engine, long nowMs, int indicator) {
      super(engine, nowMs, indicator);
    }

    @Override
    void add(InternalRow row, Batch batch) {
      add(batch.text(0), row, 0);
      add(batch.text(1), row, 1);
    }
  }

  /** Pairs of a user and an item. */
  static final class PairTuples extends Pairs<Tuple2<String, String>> {
    PairTuples(String engine, long nowMs, int indicator) {
      super(engine, nowMs, indicator);
    }

    @Override
    void add(Tuple2<String, String> pair, Batch batch) {
      batch.text(0).add(pair._1());
      batch.text(1).add(pair._2());
    }
  }
}
