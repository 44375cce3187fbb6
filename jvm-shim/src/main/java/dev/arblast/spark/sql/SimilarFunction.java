package dev.arblast.spark.sql;

import java.util.List;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.api.java.UDF2;

/** {@code similar(item, n)}. */
final class SimilarFunction implements UDF2<Object, Object, List<Row>> {
  private static final long serialVersionUID = 1;

  private final Recommenders model;

  SimilarFunction(Recommenders model) {
    this.model = model;
  }

  @Override
  public List<Row> call(Object item, Object n) {
    if (item == null || n == null) {
      return null;
    }
    return HitRows.of(model.get().similar(item.toString(), Arguments.small("similar", "n", n)));
  }
}
