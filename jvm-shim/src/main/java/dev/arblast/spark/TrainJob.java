package dev.arblast.spark;

import dev.arblast.ArblastException;
import dev.arblast.CorruptDataException;
import dev.arblast.UnavailableException;
import dev.arblast.VersionException;
import dev.arblast.internal.TrainingSession;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.time.format.DateTimeParseException;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.CancellationException;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FSDataOutputStream;
import org.apache.hadoop.fs.Path;
import org.apache.hadoop.io.IOUtils;
import org.apache.spark.SparkConf;
import org.apache.spark.SparkException;
import org.apache.spark.api.java.JavaSparkContext;
import org.apache.spark.sql.SparkSession;

/**
 * Trains an engine on a Spark cluster and publishes its model, the same bytes as {@code arblast train} makes of the same events at the
 * same time. {@code spark-submit --class dev.arblast.spark.TrainJob arblast-spark.jar --help} tells the options.
 */
public final class TrainJob {
  private static final List<String> NAMES =
      Arrays.asList(
          "--engine", "--events", "--format", "--table", "--jdbc-properties", "--models", "--index", "--now", "--count", "--threads", "--run",
          "--position", "--result");
  private static final List<String> FLAGS = Arrays.asList("--force", "--skip-bad-lines", "--attached", "--help");

  static final String HELP =
      "Trains an engine on Spark and publishes its model.\n\n"
          + "  --engine PATH       engine.json, at any Hadoop path\n"
          + "  --events PATH,…     JSON lines or Parquet at any Hadoop path; or jdbc:URL or hbase://… with --table; or arblast:HOME (driver's\n"
          + "                      machine)\n"
          + "  --models URL        folder of models to publish in, e.g. HOME/models or hdfs://name/arblast/models\n"
          + "  --index URL         search servers to publish to as well: http(s)://[user:password@]host[:9200][,host…]; better by the\n"
          + "                      environment, as for `arblast train`: ARBLAST_INDEX_URL, …_API_KEY, …_CA_FILE, …_SHARDS; embedded: none\n"
          + "  --format KIND       json or parquet, if the names of the files do not tell\n"
          + "  --table NAME        table of a database, e.g. pio_event_1, or of HBase, e.g. events_1; --jdbc-properties FILE: user, password,\n"
          + "                      driver\n"
          + "  --now TIME          time of training, where windows end [now], e.g. 2026-01-31T00:00:00Z\n"
          + "  --count PLACE       where correlators are counted: auto, driver, executors, or parts (of interactions that fit none) [auto]\n"
          + "  --threads N         threads of the driver [its cores]\n"
          + "  --force             publish even a model that shrank\n"
          + "  --skip-bad-lines    count and skip what is no event, instead of failing\n"
          + "  --result FILE       write the outcome there, as JSON\n\n"
          + "Example:\n"
          + "  spark-submit --master spark://host:7077 --class dev.arblast.spark.TrainJob arblast-spark.jar \\\n"
          + "    --engine engine.json --events hdfs://name/events --models hdfs://name/models";

  private final Options options;
  private final long startedMs = System.currentTimeMillis();
  private final long nowMs;
  private final String engine;
  private final String models;
  private final String index;
  private final EventSource events;
  private final Counters.Where where;

  /** Checks all that can be checked before Spark starts. */
  private TrainJob(Options options) throws IOException {
    this.options = options;
    nowMs = now(startedMs);
    models = options.needed("--models", "the folder of models to publish in");
    where = Counters.Where.of(options.or("--count", "auto"));
    events = new EventSource(options);
    engine = read(options.needed("--engine", "the engine file"), new Configuration());
    index = options.or("--index", "");
    try (TrainingSession session = TrainingSession.open(engine, nowMs, () -> false)) {
      session.reach(index);
    }
  }

  public static void main(String[] words) {
    int status = run(words);
    if (status != 0) {
      // In cluster mode Spark looks at exceptions of main; everywhere the status tells the caller what he can do.
      System.exit(status);
    }
  }

  /** The same for a JVM that goes on: gives the exit code. */
  public static int run(String[] words) {
    return told(
        () -> {
          Options options = new Options(words, NAMES, FLAGS);
          if (options.has("--help")) {
            System.out.println(HELP);
            return;
          }
          if (options.has("--attached")) {
            Attached.toInput();
          }
          TrainJob job = new TrainJob(options);
          try (SparkSession spark = job.session()) {
            job.train(spark);
          }
        });
  }

  /** What may fail. */
  interface Work {
    void run() throws Exception;
  }

  /** Does it; if it fails, says why in a line and gives the exit code that fits, else 0. */
  static int told(Work work) {
    try {
      work.run();
      return 0;
    } catch (Exception error) {
      Throwable cause = ofTheTask(error);
      boolean isKnown = status(cause) != UNKNOWN;
      System.err.println("[ERROR] " + (isKnown && cause.getMessage() != null ? cause.getMessage() : cause.toString()));
      if (!isKnown) {
        error.printStackTrace();
      }
      return status(cause);
    }
  }

  /** What may succeed at another time. */
  static final int UNAVAILABLE = 75;

  private static final int UNKNOWN = 70;

  /** The table of this border: exit codes as those of `arblast`. */
  static int status(Throwable error) {
    if (error instanceof VersionException) {
      return 78;
    } else if (error instanceof CorruptDataException) {
      return 65;
    } else if (error instanceof UnavailableException || error instanceof CancellationException || error instanceof IOException) {
      return UNAVAILABLE;
    } else if (error instanceof ArblastException) {
      return UNKNOWN;
    }
    boolean isInput =
        error instanceof IllegalArgumentException
            || error instanceof java.util.NoSuchElementException
            || error instanceof SecurityException
            || error.getClass().getName().equals("org.apache.spark.sql.AnalysisException");
    return isInput ? 1 : UNKNOWN;
  }

  /** What a task threw, instead of Spark's tale of it. */
  private static Throwable ofTheTask(Throwable error) {
    Throwable cause = error;
    while (cause instanceof SparkException && cause.getCause() != null) {
      cause = cause.getCause();
    }
    return cause;
  }

  private SparkSession session() {
    SparkSession.Builder builder = SparkSession.builder().appName("arblast train").config("spark.sql.session.timeZone", "UTC");
    new EngineSettings(engine, TrainJob::tell).apply(builder);
    return builder.getOrCreate();
  }

  private void train(SparkSession spark) throws IOException {
    Configuration hadoop = spark.sparkContext().hadoopConfiguration();
    ModelStore store = new ModelStore(models, hadoop);
    store.check();
    String run = options.or("--run", spark.sparkContext().applicationId());
    int threads = options.number("--threads", driverCores(spark.sparkContext().getConf()));
    JavaSparkContext context = JavaSparkContext.fromSparkContext(spark.sparkContext());
    try (Training training = new Training(context, engine, nowMs, TrainJob::tell)) {
      events.read(spark, training, engine, nowMs);
      if (training.bad() > 0) {
        tell("skipped " + training.bad() + " lines that are no events");
      }
      String current = training.session().keepsCorrelators() ? store.currentModel(training.session().engineFolder()) : null;
      training.train(where, threads, current);
      String told = store.publish(training.session(), run, startedMs, options.has("--force"), index, TrainJob::tell);
      tell(String.format(Locale.ROOT, "published in %.1f s", (System.currentTimeMillis() - startedMs) / 1e3));
      System.out.println(told);
      write(told, hadoop);
    }
  }

  private void write(String told, Configuration hadoop) throws IOException {
    if (options.has("--result")) {
      Path path = new Path(options.needed("--result", ""));
      try (FSDataOutputStream out = path.getFileSystem(hadoop).create(path, true)) {
        out.write(told.getBytes(StandardCharsets.UTF_8));
      }
    }
  }

  private long now(long otherwise) {
    String text = options.or("--now", "");
    if (text.isEmpty()) {
      return otherwise;
    }
    try {
      return text.matches("-?\\d+") ? Long.parseLong(text) : Instant.parse(text).toEpochMilli();
    } catch (DateTimeParseException error) {
      throw new IllegalArgumentException("--now must be a time such as 2026-01-31T00:00:00Z, got " + text);
    }
  }

  /** Cores that are the driver's own: those it was given in cluster mode, else those of its machine. */
  private static int driverCores(SparkConf conf) {
    int machine = Runtime.getRuntime().availableProcessors();
    boolean inCluster = "cluster".equals(conf.get("spark.submit.deployMode", "client"));
    return inCluster ? Math.min(machine, conf.getInt("spark.driver.cores", 1)) : machine;
  }

  static void tell(String text) {
    System.err.println("[INFO] [TrainJob] " + text);
  }

  static String read(String path, Configuration hadoop) throws IOException {
    Path file = new Path(path);
    try (InputStream in = file.getFileSystem(hadoop).open(file)) {
      ByteArrayOutputStream out = new ByteArrayOutputStream();
      IOUtils.copyBytes(in, out, 1 << 16, false);
      return new String(out.toByteArray(), StandardCharsets.UTF_8);
    } catch (java.io.FileNotFoundException error) {
      throw new java.util.NoSuchElementException(path + " does not exist");
    }
  }
}
