package dev.arblast.spark;

import dev.arblast.internal.Counting;
import dev.arblast.internal.Sums;
import dev.arblast.internal.TrainingSession;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.function.Consumer;
import org.apache.spark.SparkConf;
import org.apache.spark.api.java.JavaSparkContext;
import org.apache.spark.broadcast.Broadcast;
import org.apache.spark.network.util.JavaUtils;

/**
 * Where correlators are counted. The result is the same bytes everywhere.
 *
 * <p>The rule ({@link Where#AUTO}): on the driver, unless counting there would take longer than {@link #PATIENCE_S} and the executors have
 * more than twice the driver's threads as cores. Then by ranges of items, for which each executor holds all interactions once; only if they
 * exceed what {@code spark.executor.memoryOverhead} leaves for native memory, each task reads them part by part and sums up its counts.
 * docs/spark.md has the figures behind the constants.
 */
final class Counters {
  /** Of one core: a bit below what was measured. */
  static final double INCREMENTS_PER_SECOND = 1e9;

  static final double PATIENCE_S = 5;
  /** Native memory of an executor per interaction: as it came, and arranged for counting. */
  static final int BYTES_PER_CELL = 16;
  /** So many ranges a core, as some items take longer than others. */
  private static final int RANGES_PER_CORE = 4;
  /** Memory for the counters of a task that sums up. */
  private static final long COUNTERS_BYTES = 128L << 20;

  /** A place. */
  enum Where {
    AUTO,
    DRIVER,
    EXECUTORS,
    PARTS;

    static Where of(String name) {
      for (Where where : values()) {
        if (where.name().equalsIgnoreCase(name)) {
          return where;
        }
      }
      throw new IllegalArgumentException("--count must be auto, driver, executors or parts, got " + name);
    }
  }

  private final JavaSparkContext spark;
  private final TrainingSession session;
  private final int threads;
  private final Consumer<String> told;

  Counters(JavaSparkContext spark, TrainingSession session, int threads, Consumer<String> told) {
    this.spark = spark;
    this.session = session;
    this.threads = threads;
    this.told = told;
  }

  void count(Where wanted) {
    if (session.items() == 0) {
      return;
    }
    Where where = wanted == Where.AUTO ? chosen() : wanted;
    told.accept(String.format(Locale.ROOT, "count %.2g increments of %d pairs %s", (double) session.increments(), session.cells(), words(where)));
    switch (where) {
      case EXECUTORS:
        byRanges(ranges(spark.defaultParallelism() * RANGES_PER_CORE / session.indicators()));
        break;
      case PARTS:
        byParts();
        break;
      default:
        session.correlate(threads);
    }
  }

  private String words(Where where) {
    switch (where) {
      case EXECUTORS:
        return "by item ranges on the executors";
      case PARTS:
        return "by item ranges on the executors, in " + parts() + " parts";
      default:
        return "on the driver with " + threads + " threads";
    }
  }

  private Where chosen() {
    double seconds = session.increments() / (INCREMENTS_PER_SECOND * threads);
    if (spark.sc().isLocal() || seconds <= PATIENCE_S || spark.defaultParallelism() <= 2 * threads) {
      return Where.DRIVER;
    }
    return session.cells() * BYTES_PER_CELL <= executorBytes() ? Where.EXECUTORS : Where.PARTS;
  }

  /** Native memory that an executor may use: Spark's own rule, where nothing is said. */
  private long executorBytes() {
    SparkConf conf = spark.getConf();
    long heap = JavaUtils.byteStringAs(conf.get("spark.executor.memory", "1g"), org.apache.spark.network.util.ByteUnit.MiB);
    long least = Math.max(384, heap / 10);
    return JavaUtils.byteStringAs(conf.get("spark.executor.memoryOverhead", least + "m"), org.apache.spark.network.util.ByteUnit.MiB) << 20;
  }

  /** So many that a part takes a quarter of that for each task of an executor, and never one. */
  private int parts() {
    int tasks = Math.max(1, spark.getConf().getInt("spark.executor.cores", 1));
    return (int) Math.max(2, Math.min(10_000, 4 * tasks * session.cells() * BYTES_PER_CELL / Math.max(1, executorBytes())));
  }

  private void byRanges(List<int[]> ranges) {
    Broadcast<byte[]> counting = spark.broadcast(session.counting());
    try {
      List<byte[]> blocks =
          spark.parallelize(ranges, ranges.size()).map(range -> SharedCounting.block(counting, range[0], range[1], range[2])).collect();
      blocks.forEach(session::add);
    } finally {
      counting.destroy();
    }
  }

  private void byParts() {
    int parts = parts();
    long itemsAtOnce = Math.max(1, COUNTERS_BYTES / 4 / session.things());
    List<int[]> ranges = ranges((int) Math.max(1, (session.items() + itemsAtOnce - 1) / itemsAtOnce));
    List<Broadcast<byte[]>> all = new ArrayList<>();
    try {
      for (int part = 0; part < parts; part++) {
        all.add(spark.broadcast(session.counting(part, parts)));
      }
      List<byte[]> blocks = spark.parallelize(ranges, ranges.size()).map(range -> summed(all, range)).collect();
      blocks.forEach(session::add);
    } finally {
      all.forEach(Broadcast::destroy);
    }
  }

  /** Reads one part after the other; none stays. */
  private static byte[] summed(List<Broadcast<byte[]>> parts, int[] range) {
    Sums sums = null;
    try {
      for (Broadcast<byte[]> part : parts) {
        try (Counting counting = new Counting(part.value())) {
          sums = sums == null ? new Sums(counting, range[0], range[1], range[2]) : sums;
          sums.add(counting);
        }
      }
      return sums.block();
    } finally {
      if (sums != null) {
        sums.close();
      }
    }
  }

  /** (indicator, first item, end item), in order, so many for each indicator. */
  private List<int[]> ranges(int perIndicator) {
    int items = session.items();
    int count = Math.max(1, Math.min(items, perIndicator));
    List<int[]> ranges = new ArrayList<>();
    for (int indicator = 0; indicator < session.indicators(); indicator++) {
      for (int i = 0; i < count; i++) {
        ranges.add(new int[] {indicator, (int) ((long) items * i / count), (int) ((long) items * (i + 1) / count)});
      }
    }
    return ranges;
  }
}
