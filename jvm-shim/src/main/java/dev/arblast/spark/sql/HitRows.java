package dev.arblast.spark.sql;

import dev.arblast.Recommender;
import java.util.ArrayList;
import java.util.List;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.RowFactory;
import org.apache.spark.sql.types.DataType;
import org.apache.spark.sql.types.DataTypes;
import org.apache.spark.sql.types.StructType;

/** Recommended items as SQL sees them. */
final class HitRows {
  static final DataType TYPE =
      DataTypes.createArrayType(
          new StructType().add("item", DataTypes.StringType, false).add("score", DataTypes.DoubleType, false), false);

  private HitRows() {}

  static List<Row> of(List<Recommender.Hit> hits) {
    List<Row> rows = new ArrayList<>(hits.size());
    for (Recommender.Hit hit : hits) {
      rows.add(RowFactory.create(hit.item, hit.score));
    }
    return rows;
  }
}
