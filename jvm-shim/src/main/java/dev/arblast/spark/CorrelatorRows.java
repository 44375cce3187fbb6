package dev.arblast.spark;

import dev.arblast.internal.CorrelatorTable;
import dev.arblast.internal.Table;
import java.util.ArrayList;
import java.util.List;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.RowFactory;
import org.apache.spark.sql.types.DataTypes;
import org.apache.spark.sql.types.StructType;

/** Correlators as Spark's rows. */
public final class CorrelatorRows {
  private static final StructType CORRELATOR =
      new StructType().add("id", DataTypes.StringType, false).add("llr", DataTypes.DoubleType, false);

  /** item, indicator, correlators (id, llr), strongest first. */
  public static final StructType SCHEMA =
      new StructType()
          .add("item", DataTypes.StringType, false)
          .add("indicator", DataTypes.StringType, false)
          .add("correlators", DataTypes.createArrayType(CORRELATOR, false), false);

  private CorrelatorRows() {}

  /** The rows of a table of correlators: one for each item and indicator. */
  public static List<Row> of(Table table) {
    List<Row> rows = new ArrayList<>();
    CorrelatorTable.visit(
        table,
        (item, indicator, correlators, llr, first, end) -> {
          Row[] found = new Row[end - first];
          for (int row = first; row < end; row++) {
            found[row - first] = RowFactory.create(correlators.get(row), llr.get(row));
          }
          rows.add(RowFactory.create(item, indicator, found));
        });
    return rows;
  }
}
