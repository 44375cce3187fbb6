package dev.arblast.spark;

import dev.arblast.internal.TrainingSession;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.function.Consumer;
import org.apache.spark.api.java.JavaSparkContext;
import org.apache.spark.broadcast.Broadcast;

/**
 * Where correlators are counted. The result is the same bytes everywhere.
 *
 * <p>The rule ({@link Where#AUTO}): on the driver, unless counting there would take longer than {@link #PATIENCE_S} and the executors have
 * more cores than twice the driver's threads. A core does about {@link #INCREMENTS_PER_SECOND} steps; sending the interactions out, about two
 * bytes each, unpacking and arranging them costs each executor a few seconds that the driver does not have to spend.
 */
final class Counters {
  /** Measured by bench/spark on the M set: a bit below what one core of a current server does. */
  static final double INCREMENTS_PER_SECOND = 1e9;

  static final double PATIENCE_S = 5;
  /** So many ranges a core, as some items take longer than others. */
  private static final int RANGES_PER_CORE = 4;

  /** A place. */
  enum Where {
    AUTO,
    DRIVER,
    EXECUTORS;

    static Where of(String name) {
      for (Where where : values()) {
        if (where.name().equalsIgnoreCase(name)) {
          return where;
        }
      }
      throw new IllegalArgumentException("--count must be auto, driver or executors, got " + name);
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

  void count(Where where) {
    if (session.items() == 0) {
      return;
    }
    boolean away = where == Where.EXECUTORS || where == Where.AUTO && pays();
    told.accept(
        String.format(
            Locale.ROOT, "count %.2g increments of %d cells %s", (double) session.increments(), session.cells(),
            away ? "by item ranges on the executors" : "on the driver with " + threads + " threads"));
    if (away) {
      onExecutors();
    } else {
      session.correlate(threads);
    }
  }

  private boolean pays() {
    boolean local = spark.sc().isLocal();
    int cores = spark.defaultParallelism();
    double seconds = session.increments() / (INCREMENTS_PER_SECOND * threads);
    return !local && seconds > PATIENCE_S && cores > 2 * threads;
  }

  private void onExecutors() {
    int items = session.items();
    int indicators = session.indicators();
    List<int[]> ranges = ranges(items, indicators, Math.max(1, spark.defaultParallelism() * RANGES_PER_CORE));
    Broadcast<byte[]> counting = spark.broadcast(session.counting());
    try {
      List<byte[]> blocks =
          spark.parallelize(ranges, ranges.size()).map(range -> SharedCounting.block(counting, range[0], range[1], range[2])).collect();
      blocks.forEach(session::add);
    } finally {
      counting.destroy();
    }
  }

  /** (indicator, first item, end item), in order. */
  private static List<int[]> ranges(int items, int indicators, int tasks) {
    int perIndicator = Math.max(1, Math.min(items, tasks / indicators));
    List<int[]> ranges = new ArrayList<>();
    for (int indicator = 0; indicator < indicators; indicator++) {
      for (int i = 0; i < perIndicator; i++) {
        int first = (int) ((long) items * i / perIndicator);
        int end = (int) ((long) items * (i + 1) / perIndicator);
        ranges.add(new int[] {indicator, first, end});
      }
    }
    return ranges;
  }
}
