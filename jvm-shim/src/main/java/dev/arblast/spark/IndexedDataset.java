package dev.arblast.spark;

import static org.apache.spark.sql.functions.col;

import java.util.Iterator;
import java.util.List;
import org.apache.spark.api.java.JavaPairRDD;
import org.apache.spark.api.java.JavaRDD;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Row;
import scala.Tuple2;

/**
 * A matrix with names, in the manner of Mahout's class of this name: as input of {@link SimilarityAnalysis} the cells (row id, column id) that are
 * 1, as its result for each row id the column ids with their strengths.
 */
public final class IndexedDataset {
  private final JavaRDD<Tuple2<String, String>> cells;
  private final JavaRDD<Tuple2<String, List<Tuple2<String, Double>>>> strengths;

  private IndexedDataset(JavaRDD<Tuple2<String, String>> cells, JavaRDD<Tuple2<String, List<Tuple2<String, Double>>>> strengths) {
    this.cells = cells;
    this.strengths = strengths;
  }

  /** From pairs of a row id (a user, say) and a column id (an item). */
  public static IndexedDataset of(JavaPairRDD<String, String> cells) {
    return new IndexedDataset(cells.map(cell -> cell), null);
  }

  /** From two columns of a table. */
  public static IndexedDataset of(Dataset<Row> table, String rowColumn, String columnColumn) {
    Dataset<Row> pairs = table.select(col(rowColumn).cast("string"), col(columnColumn).cast("string")).na().drop();
    return new IndexedDataset(pairs.javaRDD().map(row -> new Tuple2<>(row.getString(0), row.getString(1))), null);
  }

  static IndexedDataset of(JavaRDD<Tuple2<String, List<Tuple2<String, Double>>>> strengths) {
    return new IndexedDataset(null, strengths);
  }

  /** The cells of an input. */
  JavaRDD<Tuple2<String, String>> cells() {
    if (cells == null) {
      throw new IllegalArgumentException("a result of SimilarityAnalysis cannot be its input");
    }
    return cells;
  }

  /** The same cells with rows and columns exchanged. */
  IndexedDataset transposed() {
    return new IndexedDataset(cells().map(cell -> new Tuple2<>(cell._2(), cell._1())), null);
  }

  /** Of a result: row id, and its column ids with their strengths, strongest first. */
  public JavaPairRDD<String, List<Tuple2<String, Double>>> rows() {
    if (strengths == null) {
      throw new IllegalArgumentException("an input of SimilarityAnalysis has no strengths");
    }
    return JavaPairRDD.fromJavaRDD(strengths);
  }

  /** Writes a result as Mahout's default schema has it: {@code row<TAB>column:strength column:strength …}. */
  public void dfsWrite(String path) {
    rows().map(IndexedDataset::line).saveAsTextFile(path);
  }

  private static String line(Tuple2<String, List<Tuple2<String, Double>>> row) {
    Iterator<Tuple2<String, Double>> columns = row._2().iterator();
    StringBuilder line = new StringBuilder(row._1()).append('\t');
    while (columns.hasNext()) {
      Tuple2<String, Double> column = columns.next();
      line.append(column._1()).append(':').append(column._2()).append(columns.hasNext() ? " " : "");
    }
    return line.toString();
  }
}
