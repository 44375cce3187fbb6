package dev.arblast.spark;

import dev.arblast.internal.TrainingSession;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.function.Consumer;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.io.BytesWritable;
import org.apache.hadoop.io.NullWritable;
import org.apache.hadoop.mapreduce.lib.input.FileInputFormat;
import org.apache.spark.api.java.JavaRDD;
import org.apache.spark.api.java.JavaSparkContext;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.catalyst.InternalRow;

/**
 * A train on a cluster: rows are read where they are, portions come to the driver, and the correlators are counted by one
 * native call here or by item ranges on the executors, whichever {@link Counters} finds better.
 */
final class Training implements AutoCloseable {
  /** More portions than this are first put together by the executors. */
  private static final int PORTIONS = 32;
  /** Bytes of a file for one task, at most. */
  private static final int SPLIT = 32 << 20;

  private final JavaSparkContext spark;
  private final String engine;
  private final long nowMs;
  private final Consumer<String> told;
  private final TrainingSession session;
  private long bad;

  Training(JavaSparkContext spark, String engine, long nowMs, Consumer<String> told) {
    this.spark = spark;
    this.engine = engine;
    this.nowMs = nowMs;
    this.told = told;
    this.session = TrainingSession.open(engine, nowMs, () -> spark.sc().isStopped());
  }

  TrainingSession session() {
    return session;
  }

  /** Rows that were skipped, as they were no events. */
  long bad() {
    return bad;
  }

  /** Adds what an encoder makes of rows. */
  void add(Dataset<Row> rows, Encoder<InternalRow> encoder) {
    add(rows.queryExecution().toRdd().toJavaRDD(), encoder);
  }

  /** Adds the lines of text files: event JSON, or {@code user,item} of an indicator that is not negative. */
  void addText(String paths, int indicator, boolean skipBad) {
    Configuration hadoop = new Configuration(spark.hadoopConfiguration());
    hadoop.setIfUnset(FileInputFormat.SPLIT_MAXSIZE, String.valueOf(SPLIT));
    add(
        spark.newAPIHadoopFile(paths, TextBlocks.class, NullWritable.class, BytesWritable.class, hadoop).map(block -> block),
        new Encoder.Blocks(engine, nowMs, indicator, skipBad));
  }

  /** Adds what an encoder makes of rows. */
  <R> void add(JavaRDD<R> rows, Encoder<R> encoder) {
    JavaRDD<Encoded> portions = rows.mapPartitions(encoder);
    List<Encoded> encoded = new ArrayList<>();
    if (portions.getNumPartitions() > PORTIONS) {
      String engine = this.engine;
      long nowMs = this.nowMs;
      encoded.add(portions.treeReduce((one, other) -> one.and(other, engine, nowMs)));
    } else {
      encoded.addAll(portions.collect());
    }
    long bytes = 0;
    for (Encoded part : encoded) {
      session.merge(part.portion);
      bad += part.bad;
      bytes += part.portion.length;
    }
    told.accept(String.format(Locale.ROOT, "read %d partitions: %.1f MB of portions", portions.getNumPartitions(), bytes / 1e6));
  }

  /** Counts, and makes the model. */
  void train(Counters.Where where, int threads, String currentModel) {
    long start = System.nanoTime();
    session.prepare(threads, currentModel);
    told.accept(session.keepsCorrelators() ? "keeps the correlators of the model in use" : session.summary());
    long prepared = System.nanoTime();
    new Counters(spark, session, threads, told).count(where);
    long counted = System.nanoTime();
    session.assemble();
    long assembled = System.nanoTime();
    told.accept(
        String.format(
            Locale.ROOT, "prepared in %.2f s, counted in %.2f s, assembled in %.2f s", (prepared - start) / 1e9, (counted - prepared) / 1e9,
            (assembled - counted) / 1e9));
  }

  @Override
  public void close() {
    session.close();
  }
}
