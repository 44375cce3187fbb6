package dev.arblast.spark;

import dev.arblast.internal.CorrelatorTable;
import dev.arblast.internal.Indicator;
import dev.arblast.internal.Table;
import java.util.ArrayList;
import java.util.List;
import org.apache.spark.api.java.JavaRDD;
import org.apache.spark.api.java.JavaSparkContext;
import scala.Tuple2;

/**
 * The shape of Mahout's {@code org.apache.mahout.math.cf.SimilarityAnalysis}, for jobs that were written against it: same names, same order
 * of arguments, same defaults, same mathematics. Users with more interactions than the cap are thinned out instead of dropped, and which
 * interactions go depends on ids and seed alone.
 */
public final class SimilarityAnalysis {
  private static final int SEED = 0xdeadbeef;
  private static final int MAX_INTERESTING = 50;
  private static final int MAX_INTERACTIONS = 500;

  private SimilarityAnalysis() {}

  /** A matrix with caps of its own, for {@link #crossOccurrenceDownsampled}. */
  public static final class DownsamplableCrossOccurrenceDataset {
    private final IndexedDataset dataset;
    private final int maxElementsPerRow;
    private final int maxInterestingElements;
    private final Double minLlr;

    /** {@code minLlr}: null for none. */
    public DownsamplableCrossOccurrenceDataset(IndexedDataset dataset, int maxElementsPerRow, int maxInterestingElements, Double minLlr) {
      this.dataset = dataset;
      this.maxElementsPerRow = maxElementsPerRow;
      this.maxInterestingElements = maxInterestingElements;
      this.minLlr = minLlr;
    }

    /** With Mahout's defaults. */
    public DownsamplableCrossOccurrenceDataset(IndexedDataset dataset) {
      this(dataset, MAX_INTERACTIONS, MAX_INTERESTING, null);
    }
  }

  /** As below, with Mahout's defaults: 50 interesting items, 500 interactions. */
  public static List<IndexedDataset> cooccurrencesIDSs(IndexedDataset[] datasets) {
    return cooccurrencesIDSs(datasets, SEED, MAX_INTERESTING, MAX_INTERACTIONS);
  }

  /** The first dataset is primary; gives its co-occurrences, then its cross-occurrences with each of the others. Rows are users. */
  public static List<IndexedDataset> cooccurrencesIDSs(
      IndexedDataset[] datasets, int randomSeed, int maxInterestingItemsPerThing, int maxNumInteractions) {
    List<DownsamplableCrossOccurrenceDataset> all = new ArrayList<>();
    for (IndexedDataset dataset : datasets) {
      all.add(new DownsamplableCrossOccurrenceDataset(dataset, maxNumInteractions, maxInterestingItemsPerThing, null));
    }
    return crossOccurrenceDownsampled(all, randomSeed);
  }

  /** The same, with caps for each dataset. */
  public static List<IndexedDataset> crossOccurrenceDownsampled(List<DownsamplableCrossOccurrenceDataset> datasets, int randomSeed) {
    if (datasets.isEmpty()) {
      throw new IllegalArgumentException("no dataset: the first is the primary one");
    }
    Correlation correlation = new Correlation();
    correlation.seed(Integer.toUnsignedLong(randomSeed));
    for (int i = 0; i < datasets.size(); i++) {
      DownsamplableCrossOccurrenceDataset given = datasets.get(i);
      JavaRDD<Tuple2<String, String>> cells = given.dataset.cells();
      Indicator indicator =
          correlation.add(
              String.valueOf(i), (training, source) -> training.add(cells, new Encoder.PairTuples(source.engine, Correlation.NOW, source.indicator)));
      indicator.maxItemsPerUser = given.maxElementsPerRow;
      indicator.maxCorrelators = given.maxInterestingElements;
      indicator.minLlr = given.minLlr;
    }
    JavaSparkContext spark = JavaSparkContext.fromSparkContext(datasets.get(0).dataset.cells().context());
    List<byte[]> tables = correlation.tables(spark, text -> {});
    JavaRDD<byte[]> all = spark.parallelize(tables, Math.max(1, Math.min(tables.size(), spark.defaultParallelism()))).cache();
    List<IndexedDataset> results = new ArrayList<>();
    for (String name : correlation.names()) {
      results.add(IndexedDataset.of(all.flatMap(table -> of(name, table).iterator())));
    }
    return results;
  }

  /** As below, with Mahout's defaults. */
  public static IndexedDataset rowSimilarityIDS(IndexedDataset dataset) {
    return rowSimilarityIDS(dataset, SEED, MAX_INTERESTING, MAX_INTERACTIONS);
  }

  /** Which rows of a dataset have the same columns more often than by chance. */
  public static IndexedDataset rowSimilarityIDS(
      IndexedDataset dataset, int randomSeed, int maxInterestingSimilaritiesPerRow, int maxObservationsPerRow) {
    IndexedDataset[] columnsAsUsers = {dataset.transposed()};
    return cooccurrencesIDSs(columnsAsUsers, randomSeed, maxInterestingSimilaritiesPerRow, maxObservationsPerRow).get(0);
  }

  private static List<Tuple2<String, List<Tuple2<String, Double>>>> of(String name, byte[] table) {
    List<Tuple2<String, List<Tuple2<String, Double>>>> rows = new ArrayList<>();
    CorrelatorTable.visit(
        new Table(table),
        (item, indicator, correlators, llr, first, end) -> {
          if (indicator.equals(name)) {
            List<Tuple2<String, Double>> row = new ArrayList<>();
            for (int i = first; i < end; i++) {
              row.add(new Tuple2<>(correlators.get(i), llr.get(i)));
            }
            rows.add(new Tuple2<>(item, row));
          }
        });
    return rows;
  }
}
