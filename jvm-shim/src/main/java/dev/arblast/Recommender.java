package dev.arblast;

import dev.arblast.internal.Json;
import dev.arblast.internal.Model;
import dev.arblast.internal.Table;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;

/**
 * Recommendations in this process, from a model file and the engine file that it was trained by. Any number of threads may use one.
 * It knows no events: the history of a user comes with the query.
 */
public final class Recommender implements AutoCloseable {
  private final Model model;
  private final String primary;

  private Recommender(Model model, String primary) {
    this.model = model;
    this.primary = primary;
  }

  /**
   * @param modelFile a file {@code model.arblast} on this machine
   * @param engine text of {@code engine.json}
   */
  public static Recommender open(String modelFile, String engine) {
    Model model = new Model(modelFile, engine);
    return new Recommender(model, Json.firstText(model.names()));
  }

  /** The answer to a query, as the query server gives it: both are JSON. */
  public String query(String query) {
    return model.answer(query, System.currentTimeMillis());
  }

  /** At most {@code n} items for someone who did the primary event to these, newest first. */
  public List<Hit> recommend(Collection<String> history, int n) {
    StringBuilder query = new StringBuilder("{\"num\":").append(n).append(",\"history\":[");
    String separator = "";
    for (String item : history) {
      query.append(separator).append("{\"event\":").append(Json.quote(primary)).append(",\"item\":").append(Json.quote(item)).append('}');
      separator = ",";
    }
    return ranked(query.append("]}").toString());
  }

  /** At most {@code n} items like this one. */
  public List<Hit> similar(String item, int n) {
    return ranked("{\"num\":" + n + ",\"item\":" + Json.quote(item) + "}");
  }

  private List<Hit> ranked(String query) {
    Table table = model.ranked(query, System.currentTimeMillis());
    Table.Texts items = table.texts();
    Table.Numbers scores = table.numbers();
    List<Hit> hits = new ArrayList<>(table.rows());
    for (int row = 0; row < table.rows(); row++) {
      hits.add(new Hit(items.get(row), scores.get(row)));
    }
    return hits;
  }

  @Override
  public void close() {
    model.close();
  }

  /** A recommended item. Scores compare within one answer only; 0: by ranking alone. */
  public static final class Hit {
    public final String item;
    public final double score;

    Hit(String item, double score) {
      this.item = item;
      this.score = score;
    }

    @Override
    public String toString() {
      return item + " " + score;
    }
  }
}
