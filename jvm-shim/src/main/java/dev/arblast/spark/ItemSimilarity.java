package dev.arblast.spark;

import dev.arblast.internal.Indicator;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.List;
import org.apache.spark.SparkConf;
import org.apache.spark.api.java.JavaSparkContext;

/**
 * Correlators of plain files, as a job: what Mahout's {@code spark-itemsimilarity} was for.
 *
 * <pre>spark-submit --class dev.arblast.spark.ItemSimilarity arblast-spark.jar --indicator purchase=p.csv --indicator view=v.csv --output out</pre>
 */
public final class ItemSimilarity {
  private static final List<String> NAMES =
      Arrays.asList("--indicator", "--output", "--max-correlators", "--max-prefs", "--min-llr", "--seed", "--count");
  static final String HELP =
      "Correlators of files of user,item lines (comma or tab), as `arblast itemsimilarity` makes them.\n\n"
          + "  --indicator NAME=PATH   files at any Hadoop path; the first is primary: its things are the items\n"
          + "  --output PATH           folder of JSON lines: {\"item\":…,\"indicator\":…,\"correlators\":[[\"id\",llr],…]}\n"
          + "  --max-correlators N     per item and indicator [50]\n"
          + "  --max-prefs N           users and things with more interactions are thinned to about so many [500]\n"
          + "  --min-llr X             leave out weaker correlators\n"
          + "  --seed N                of the thinning out\n"
          + "  --count PLACE           auto, driver, executors or parts [auto]";

  private ItemSimilarity() {}

  public static void main(String[] words) {
    int status = TrainJob.told(() -> run(new Options(words, NAMES, Arrays.asList("--help"))));
    if (status != 0) {
      System.exit(status);
    }
  }

  private static void run(Options options) {
    if (options.has("--help")) {
      System.out.println(HELP);
      return;
    }
    String output = options.needed("--output", "a path that does not exist yet");
    Correlation correlation = correlation(options);
    try (JavaSparkContext spark = new JavaSparkContext(new SparkConf().setAppName("arblast itemsimilarity"))) {
      List<byte[]> lines = correlation.lines(spark, TrainJob::tell);
      // Each piece ends with a line end, as a line of text output does.
      spark.parallelize(lines, Math.max(1, Math.min(lines.size(), spark.defaultParallelism())))
          .filter(piece -> piece.length > 0).map(piece -> new String(piece, 0, piece.length - 1, StandardCharsets.UTF_8)).saveAsTextFile(output);
      TrainJob.tell("wrote " + output);
    }
  }

  private static Correlation correlation(Options options) {
    Correlation correlation = new Correlation();
    correlation.where(Counters.Where.of(options.or("--count", "auto")));
    for (String given : options.list("--indicator")) {
      int equals = given.indexOf('=');
      if (equals <= 0) {
        throw new IllegalArgumentException("--indicator must be NAME=PATH, got " + given);
      }
      String path = given.substring(equals + 1);
      Indicator indicator =
          correlation.add(given.substring(0, equals), (training, source) -> training.addText(path, source.indicator, false));
      indicator.maxCorrelators = options.number("--max-correlators", indicator.maxCorrelators);
      indicator.maxItemsPerUser = options.number("--max-prefs", indicator.maxItemsPerUser);
      indicator.minLlr = options.has("--min-llr") ? Double.valueOf(options.needed("--min-llr", "")) : null;
    }
    if (correlation.names().isEmpty()) {
      throw new IllegalArgumentException("--indicator is missing: NAME=PATH, the primary one first");
    }
    if (options.has("--seed")) {
      correlation.seed(Long.parseLong(options.needed("--seed", "")));
    }
    return correlation;
  }
}
