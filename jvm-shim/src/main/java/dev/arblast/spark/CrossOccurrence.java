package dev.arblast.spark;

import static org.apache.spark.sql.functions.col;

import dev.arblast.internal.Indicator;
import dev.arblast.internal.Table;
import java.util.List;
import org.apache.spark.api.java.JavaRDD;
import org.apache.spark.api.java.JavaSparkContext;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.SparkSession;

/**
 * Correlated cross-occurrence for existing jobs: which things go with which items, by the log-likelihood ratio.
 *
 * <pre>{@code
 * Dataset<Row> correlators = CrossOccurrence.of("purchase", purchases, "user", "item")
 *     .and("view", views, "user", "item").maxCorrelators(20).minLlr(5)
 *     .correlators();                                  // item, indicator, correlators: array<struct<id, llr>>
 * }</pre>
 *
 * The first indicator is primary: its things are the items. Caps are those of the indicator named last. The result depends on the
 * interactions, the caps and the seed alone, not on partitions or executors.
 */
public final class CrossOccurrence {
  private final SparkSession spark;
  private final Correlation correlation = new Correlation();
  private Indicator last;

  private CrossOccurrence(SparkSession spark) {
    this.spark = spark;
  }

  /** The primary indicator: one row per interaction; rows without user or item do not count, repetitions count once. */
  public static CrossOccurrence of(String name, Dataset<Row> interactions, String userColumn, String itemColumn) {
    return new CrossOccurrence(interactions.sparkSession()).and(name, interactions, userColumn, itemColumn);
  }

  /** Another indicator, whose things may be of any kind. */
  public CrossOccurrence and(String name, Dataset<Row> interactions, String userColumn, String itemColumn) {
    Dataset<Row> pairs = interactions.select(col(userColumn).cast("string").alias("user"), col(itemColumn).cast("string").alias("item"));
    Dataset<Row> whole = pairs.na().drop();
    last = correlation.add(name, (training, source) -> training.add(whole, new Encoder.PairRows(source.engine, Correlation.NOW, source.indicator)));
    return this;
  }

  /** At most so many correlators per item [50]. */
  public CrossOccurrence maxCorrelators(int correlators) {
    last.maxCorrelators = correlators;
    return this;
  }

  /** Users and things with more interactions are thinned to about so many [500]. */
  public CrossOccurrence maxItemsPerUser(int items) {
    last.maxItemsPerUser = items;
    return this;
  }

  /** Weaker correlators are left out [none]. */
  public CrossOccurrence minLlr(double llr) {
    last.minLlr = llr;
    return this;
  }

  /** Of the thinning out; another seed keeps other interactions. */
  public CrossOccurrence seed(long seed) {
    correlation.seed(seed);
    return this;
  }

  /** {@code auto}, {@code driver}, {@code executors} or {@code parts}: where correlators are counted. The result is the same. */
  public CrossOccurrence countOn(String place) {
    correlation.where(Counters.Where.of(place));
    return this;
  }

  /** Counts now; gives a row for each item and indicator that has correlators, see {@link CorrelatorRows#SCHEMA}. */
  public Dataset<Row> correlators() {
    JavaSparkContext context = JavaSparkContext.fromSparkContext(spark.sparkContext());
    List<byte[]> tables = correlation.tables(context, text -> {});
    int slices = Math.max(1, Math.min(tables.size(), context.defaultParallelism()));
    JavaRDD<Row> rows = context.parallelize(tables, slices).flatMap(table -> CorrelatorRows.of(new Table(table)).iterator());
    return spark.createDataFrame(rows, CorrelatorRows.SCHEMA);
  }
}
