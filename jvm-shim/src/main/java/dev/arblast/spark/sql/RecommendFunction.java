package dev.arblast.spark.sql;

import java.util.List;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.api.java.UDF2;

/** {@code recommend(history, n)}. */
final class RecommendFunction implements UDF2<Object, Object, List<Row>> {
  private static final long serialVersionUID = 1;

  private final Recommenders model;

  RecommendFunction(Recommenders model) {
    this.model = model;
  }

  @Override
  public List<Row> call(Object history, Object n) {
    if (history == null || n == null) {
      return null;
    }
    List<String> items = Arguments.texts("recommend", "history", history);
    return HitRows.of(model.get().recommend(items, Arguments.small("recommend", "n", n)));
  }
}
