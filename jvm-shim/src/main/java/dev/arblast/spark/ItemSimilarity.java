package dev.arblast.spark;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.SparkSession;

/**
 * Correlators of plain tables, as a job: what Mahout's {@code spark-itemsimilarity} was for.
 *
 * <pre>spark-submit --class dev.arblast.spark.ItemSimilarity arblast-spark.jar --indicator purchase=p.csv --indicator view=v.csv --output out</pre>
 */
public final class ItemSimilarity {
  private static final List<String> NAMES =
      Arrays.asList("--indicator", "--output", "--columns", "--format", "--max-correlators", "--max-prefs", "--min-llr", "--count");
  static final String HELP =
      "Correlators of tables with a user and an item in each row.\n\n"
          + "  --indicator NAME=PATH   a table at any Hadoop path; the first is primary: its items get the correlators\n"
          + "  --output PATH           Parquet with item, indicator, correlators (id, llr)\n"
          + "  --format KIND           csv or parquet [csv]\n"
          + "  --columns USER,ITEM     names of the columns in Parquet [user,item]\n"
          + "  --max-correlators N     per item and indicator [50]\n"
          + "  --max-prefs N           users and items with more interactions are thinned to about so many [500]\n"
          + "  --min-llr X             leave out weaker correlators\n"
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
    try (SparkSession spark = SparkSession.builder().appName("arblast itemsimilarity").getOrCreate()) {
      CrossOccurrence cross = null;
      for (String indicator : options.list("--indicator")) {
        int equals = indicator.indexOf('=');
        if (equals <= 0) {
          throw new IllegalArgumentException("--indicator must be NAME=PATH, got " + indicator);
        }
        String name = indicator.substring(0, equals);
        Dataset<Row> table = table(spark, options, indicator.substring(equals + 1));
        List<String> columns = columns(options);
        cross =
            cross == null
                ? CrossOccurrence.of(name, table, columns.get(0), columns.get(1))
                : cross.and(name, table, columns.get(0), columns.get(1));
        cross.maxCorrelators(options.number("--max-correlators", 50)).maxItemsPerUser(options.number("--max-prefs", 500));
        if (options.has("--min-llr")) {
          cross.minLlr(Double.parseDouble(options.needed("--min-llr", "")));
        }
      }
      if (cross == null) {
        throw new IllegalArgumentException("--indicator is missing: NAME=PATH, the primary one first");
      }
      cross.countOn(options.or("--count", "auto")).correlators().write().parquet(output);
    }
  }

  private static Dataset<Row> table(SparkSession spark, Options options, String path) {
    switch (options.or("--format", "csv")) {
      case "csv":
        return spark.read().schema("user string, item string").csv(path);
      case "parquet":
        return spark.read().parquet(path);
      default:
        throw new IllegalArgumentException("--format must be csv or parquet, got " + options.or("--format", ""));
    }
  }

  private static List<String> columns(Options options) {
    List<String> columns = new ArrayList<>(options.list("--columns"));
    if (columns.isEmpty() || options.or("--format", "csv").equals("csv")) {
      return Arrays.asList("user", "item");
    }
    if (columns.size() != 2) {
      throw new IllegalArgumentException("--columns must be USER,ITEM, got " + String.join(",", columns));
    }
    return columns;
  }
}
