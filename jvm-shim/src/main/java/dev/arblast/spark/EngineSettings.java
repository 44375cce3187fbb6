package dev.arblast.spark;

import dev.arblast.internal.TrainingSession;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;
import org.apache.spark.sql.SparkSession;

/**
 * {@code sparkConf} of an engine file. What the command line or spark-defaults.conf sets comes first; what has no meaning any more, or
 * comes too late, is told and left out.
 */
final class EngineSettings {
  private static final String REGISTRATOR = "spark.kryo.registrator";
  /** Decided before a driver runs. */
  private static final List<String> TOO_LATE =
      Arrays.asList(
          "spark.driver.memory", "spark.driver.cores", "spark.driver.extraJavaOptions", "spark.driver.extraClassPath",
          "spark.submit.deployMode", "spark.jars", "spark.jars.packages");

  private final Map<String, String> settings;
  private final Consumer<String> told;

  EngineSettings(String engine, Consumer<String> told) {
    this.told = told;
    try (TrainingSession session = TrainingSession.open(engine, 0, () -> false)) {
      settings = session.sparkConf();
    }
  }

  void apply(SparkSession.Builder builder) {
    settings.forEach(
        (name, value) -> {
          if (name.startsWith("spark.") && System.getProperty(name) == null && counts(name, value)) {
            builder.config(name, value);
          }
        });
  }

  private boolean counts(String name, String value) {
    if (TOO_LATE.contains(name)) {
      told.accept(
          "sparkConf: " + name + " is decided before the driver runs: give it to spark-submit (`arblast train -- …` does so by itself)");
      return false;
    }
    if (name.equals(REGISTRATOR)) {
      try {
        Class.forName(value, false, Thread.currentThread().getContextClassLoader());
      } catch (ClassNotFoundException error) {
        told.accept("sparkConf: " + name + " is left out: " + value + " is not here, and Arblast needs none");
        return false;
      }
    }
    return true;
  }
}
