package dev.arblast.spark.sql;

import dev.arblast.Recommender;
import java.io.Serializable;
import java.util.List;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.api.java.UDF2;

/** {@code recommend(history, n)} and {@code similar(item, n)}. */
final class HitsFunction implements UDF2<Object, Object, List<Row>> {
  private static final long serialVersionUID = 1;

  private final String name;
  private final Recommenders model;
  private final Ask ask;

  /** Asks for at most {@code n} items for what the first argument says. */
  private interface Ask extends Serializable {
    List<Recommender.Hit> of(Recommender model, Object subject, int n);
  }

  private HitsFunction(String name, Recommenders model, Ask ask) {
    this.name = name;
    this.model = model;
    this.ask = ask;
  }

  static HitsFunction recommend(Recommenders model) {
    Ask ask = (recommender, history, n) -> recommender.recommend(Arguments.texts("recommend", "history", history), n);
    return new HitsFunction("recommend", model, ask);
  }

  static HitsFunction similar(Recommenders model) {
    return new HitsFunction("similar", model, (recommender, item, n) -> recommender.similar(item.toString(), n));
  }

  @Override
  public List<Row> call(Object subject, Object n) {
    if (subject == null || n == null) {
      return null;
    }
    return HitRows.of(ask.of(model.get(), subject, Arguments.small(name, "n", n)));
  }
}
