package dev.arblast.spark.sql;

import dev.arblast.Recommender;
import dev.arblast.spark.source.LocalModel;
import dev.arblast.spark.source.ModelFile;
import org.apache.hadoop.conf.Configuration;
import org.apache.spark.sql.SparkSession;

/**
 * The model that a session's settings name when a query begins. Where tasks go, a {@link Chosen} goes in its place: they must not look
 * themselves, for they know no session, and another generation may be current when they do.
 */
final class ServedModel implements Recommenders {
  private static final long serialVersionUID = 1;
  private static final String MODEL = "spark.arblast.model";
  private static final String ENGINE = "spark.arblast.engine";

  private final transient SparkSession session;

  ServedModel(SparkSession session) {
    this.session = session;
  }

  /** Spark computes what is constant on the driver. */
  @Override
  public Recommender get() {
    return choose().get();
  }

  private Object writeReplace() {
    return choose();
  }

  /** A problem becomes known where the function is called: an exception while a query is sent out would say less about it. */
  private Chosen choose() {
    try {
      String model = setting(MODEL, "a file model.arblast, or an engine's folder of generations, such as HOME/models/ENGINE%40APP");
      String engine = setting(ENGINE, "the file engine.json of the model");
      Configuration configuration = session.sparkContext().hadoopConfiguration();
      return new Chosen(ModelFile.locate(model, configuration), ModelFile.text(engine, configuration), null);
    } catch (RuntimeException problem) {
      return new Chosen(null, null, problem.getMessage());
    }
  }

  private String setting(String name, String meaning) {
    String value = session.conf().get(name, "");
    if (value.isEmpty()) {
      throw new IllegalArgumentException(
          name + " is not set. It names " + meaning + ": SET " + name + "=PATH, or --conf " + name + "=PATH");
    }
    return value;
  }

  /** What was chosen for a query. */
  private static final class Chosen implements Recommenders {
    private static final long serialVersionUID = 1;

    private final ModelFile file;
    private final String engine;
    private final String problem;
    private transient Recommender recommender;

    Chosen(ModelFile file, String engine, String problem) {
      this.file = file;
      this.engine = engine;
      this.problem = problem;
    }

    @Override
    public Recommender get() {
      if (problem != null) {
        throw new IllegalArgumentException(problem);
      }
      if (recommender == null) {
        recommender = LocalModel.of(file).recommender(engine);
      }
      return recommender;
    }
  }
}
