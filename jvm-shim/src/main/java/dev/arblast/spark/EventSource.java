package dev.arblast.spark;

import static org.apache.spark.sql.functions.col;
import static org.apache.spark.sql.functions.get_json_object;

import java.io.IOException;
import java.io.InputStream;
import java.util.List;
import java.util.Locale;
import java.util.Properties;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.apache.hadoop.fs.FileStatus;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.Path;
import org.apache.spark.sql.DataFrameReader;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.SparkSession;

/**
 * Where a {@link TrainJob} reads events: files of JSON lines or Parquet at any Hadoop path, a table of a database or of HBase, an Arblast
 * home, or what {@code arblast train} has read.
 */
final class EventSource {
  static final String ARBLAST = "arblast:";
  private static final String PORTION = "portion:";
  private static final String JDBC = "jdbc:";
  private static final String HBASE = "hbase://";
  private static final Pattern SQL = Pattern.compile("(?s)(postgres(?:ql)?|mysql|mariadb)://.*");
  private static final int LOOK_AT = 1000;

  private final Options options;
  private final List<String> paths;
  private final String format;

  EventSource(Options options) {
    this.options = options;
    this.format = options.or("--format", "auto").toLowerCase(Locale.ROOT);
    if (!format.matches("auto|json|parquet")) {
      throw new IllegalArgumentException("--format must be auto, json or parquet, got " + format);
    }
    this.paths = options.list("--events");
    if (paths.isEmpty()) {
      throw new IllegalArgumentException(
          "--events is missing: a path of JSON lines or Parquet, jdbc:URL or hbase://… with --table, or arblast:HOME (the driver's machine)");
    }
    Matcher sql = SQL.matcher(paths.get(0));
    if (sql.matches()) {
      // Without the rest, which may have a password.
      throw new IllegalArgumentException(
          "--events " + sql.group(1) + "://…: Spark reads databases by JDBC: jdbc:" + sql.group(1).replaceFirst("^postgres$", "postgresql")
              + "://host/database with --table pio_event_1 and --jdbc-properties; `arblast train -- --master …` reads eventsUrl as it is");
    }
    if (isJdbc()) {
      options.needed("--table", "the table of events, such as pio_event_1");
    } else if (isHbase()) {
      options.needed("--table", "the table of events, such as events_1");
    }
  }

  private boolean isHbase() {
    return paths.get(0).startsWith(HBASE);
  }

  private boolean isJdbc() {
    return paths.get(0).startsWith(JDBC);
  }

  /** Adds all events to a train. */
  void read(SparkSession spark, Training training, String engine, long nowMs) throws IOException {
    String first = paths.get(0);
    String[] all = paths.toArray(new String[0]);
    boolean skipBad = options.has("--skip-bad-lines");
    boolean learns = training.session().learns();
    if (first.startsWith(ARBLAST)) {
      training.session().read(first.substring(ARBLAST.length()).replaceFirst("^//", ""));
    } else if (first.startsWith(PORTION)) {
      training.session().readPortion(first.substring(PORTION.length()), options.or("--position", null));
    } else if (isHbase()) {
      // Its servers of ZooKeeper have commas between them.
      String table = options.needed("--table", "").replaceFirst("^[^:]*:", "");
      training.session().readHbase(options.needed("--events", ""), table);
    } else if (isJdbc() || isParquet(spark)) {
      EventColumns columns = new EventColumns(isJdbc() ? jdbc(spark, first) : spark.read().parquet(all));
      Dataset<Row> rows = columns.selected();
      training.add(learns ? rows.repartition(col("entityId")) : rows, new Encoder.Events(engine, nowMs, columns, skipBad));
    } else if (learns) {
      Dataset<Row> lines = spark.read().text(all).repartition(get_json_object(col("value"), "$.entityId"));
      training.add(lines, new Encoder.Lines(engine, nowMs, skipBad));
    } else {
      training.addText(String.join(",", paths), Encoder.Blocks.EVENTS, skipBad);
    }
  }

  /** As told, or as the names of the first files tell. */
  private boolean isParquet(SparkSession spark) throws IOException {
    boolean looksSo = looksLikeParquet(spark);
    return format.equals("parquet") || format.equals("auto") && looksSo;
  }

  private boolean looksLikeParquet(SparkSession spark) throws IOException {
    Path path = new Path(paths.get(0));
    FileSystem files = path.getFileSystem(spark.sparkContext().hadoopConfiguration());
    FileStatus[] found = files.globStatus(path);
    if (found == null || found.length == 0) {
      throw new java.util.NoSuchElementException("--events: nothing is at " + path);
    }
    FileStatus[] inside = found[0].isDirectory() ? files.listStatus(found[0].getPath()) : found;
    for (int i = 0; i < Math.min(inside.length, LOOK_AT); i++) {
      if (inside[i].getPath().getName().endsWith(".parquet")) {
        return true;
      }
    }
    return false;
  }

  /** A table, in as many parts as Spark has cores if its times can be asked for. */
  private Dataset<Row> jdbc(SparkSession spark, String url) throws IOException {
    String table = options.needed("--table", "the table of events, such as pio_event_1");
    Properties properties = new Properties();
    if (options.has("--jdbc-properties")) {
      Path path = new Path(options.needed("--jdbc-properties", ""));
      try (InputStream in = path.getFileSystem(spark.sparkContext().hadoopConfiguration()).open(path)) {
        properties.load(in);
      }
    }
    DataFrameReader reader = spark.read().format("jdbc").option("url", url);
    properties.stringPropertyNames().forEach(name -> reader.option(name, properties.getProperty(name)));
    Row times =
        reader.option("dbtable", "(select min(eventTime) as first, max(eventTime) as last from " + table + ") times").load().first();
    if (!times.isNullAt(0)) {
      reader.option("partitionColumn", "eventTime").option("lowerBound", times.get(0).toString())
          .option("upperBound", times.get(1).toString())
          .option("numPartitions", String.valueOf(Math.max(1, spark.sparkContext().defaultParallelism())));
    }
    return reader.option("dbtable", table).load();
  }
}
