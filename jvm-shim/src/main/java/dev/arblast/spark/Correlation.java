package dev.arblast.spark;

import dev.arblast.internal.Json;
import dev.arblast.internal.Model;
import dev.arblast.internal.Table;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.function.BiConsumer;
import java.util.function.BiFunction;
import java.util.function.Consumer;
import org.apache.hadoop.fs.FileSystem;
import org.apache.spark.api.java.JavaSparkContext;

/** Correlators of interactions that are no events: what {@link CrossOccurrence} and {@link SimilarityAnalysis} have in common. */
final class Correlation {
  /** Items of one table. */
  private static final int ITEMS = 1024;
  /** There are no times. */
  static final long NOW = 0;

  private final Map<String, Indicator> indicators = new LinkedHashMap<>();
  private Long seed;
  private Counters.Where where = Counters.Where.AUTO;

  /** An indicator: where its interactions come from, and its caps. */
  static final class Indicator {
    int maxItemsPerUser = 500;
    int maxCorrelators = 50;
    Double minLlr;
    private final BiConsumer<Training, Source> rows;

    private Indicator(BiConsumer<Training, Source> rows) {
      this.rows = rows;
    }
  }

  /** What an encoder must know: the engine, and the place of its indicator. */
  static final class Source {
    final String engine;
    final int indicator;

    private Source(String engine, int indicator) {
      this.engine = engine;
      this.indicator = indicator;
    }
  }

  /** Another indicator; the first is primary. {@code rows} adds its interactions to a train. */
  Indicator add(String name, BiConsumer<Training, Source> rows) {
    if (name == null || name.isEmpty() || name.startsWith("$")) {
      throw new IllegalArgumentException("an indicator needs a name that does not begin with $, got " + name);
    }
    if (indicators.containsKey(name)) {
      throw new IllegalArgumentException("indicator " + name + " is given twice: names must differ");
    }
    Indicator indicator = new Indicator(rows);
    indicators.put(name, indicator);
    return indicator;
  }

  void seed(long seed) {
    this.seed = seed;
  }

  void where(Counters.Where where) {
    this.where = where;
  }

  /** Names of the indicators, in order. */
  List<String> names() {
    return new ArrayList<>(indicators.keySet());
  }

  /** Counts; gives the correlators as bytes of tables, items in byte order. */
  List<byte[]> tables(JavaSparkContext spark, Consumer<String> told) {
    return pieces(spark, told, (model, first) -> model.tableBytes(Model.CORRELATORS, first, first + ITEMS));
  }

  /** Counts; gives the correlators as lines of JSON, items in byte order. */
  List<byte[]> lines(JavaSparkContext spark, Consumer<String> told) {
    return pieces(spark, told, (model, first) -> model.lines(first, first + ITEMS));
  }

  private List<byte[]> pieces(JavaSparkContext spark, Consumer<String> told, BiFunction<Model, Integer, byte[]> piece) {
    String engine = engine();
    try (Training training = new Training(spark, engine, NOW, told)) {
      int place = 0;
      for (Indicator indicator : indicators.values()) {
        indicator.rows.accept(training, new Source(engine, place++));
      }
      training.train(where, Runtime.getRuntime().availableProcessors(), null);
      return pieces(training, piece);
    } catch (IOException error) {
      throw new UncheckedIOException(error);
    }
  }

  private static List<byte[]> pieces(Training training, BiFunction<Model, Integer, byte[]> piece) throws IOException {
    Path scratch = Files.createTempDirectory("arblast-correlators");
    try {
      training.session().publish(scratch.toString(), "correlation", 0, -1, true);
      Path file = scratch.resolve(training.session().engineFolder()).resolve("0000000001").resolve("model.arblast");
      List<byte[]> pieces = new ArrayList<>();
      try (Model model = new Model(file.toString(), null)) {
        for (int first = 0; first < model.items(); first += ITEMS) {
          pieces.add(piece.apply(model, first));
        }
      }
      return pieces;
    } finally {
      FileSystem.getLocal(new org.apache.hadoop.conf.Configuration()).delete(new org.apache.hadoop.fs.Path(scratch.toUri()), true);
    }
  }

  /** The engine file that says the same. */
  private String engine() {
    StringBuilder listed = new StringBuilder();
    indicators.forEach(
        (name, indicator) -> {
          listed.append(listed.length() == 0 ? "" : ",").append("{\"name\":").append(Json.quote(name));
          listed.append(",\"maxItemsPerUser\":").append(indicator.maxItemsPerUser);
          listed.append(",\"maxCorrelatorsPerItem\":").append(indicator.maxCorrelators);
          listed.append(indicator.minLlr == null ? "" : String.format(Locale.ROOT, ",\"minLLR\":%s", indicator.minLlr)).append('}');
        });
    return "{\"id\":\"correlation\",\"engineFactory\":\"com.actionml.RecommendationEngine\","
        + "\"datasource\":{\"params\":{\"appName\":\"correlation\"}},\"algorithms\":[{\"name\":\"ur\",\"params\":{"
        + "\"appName\":\"correlation\",\"indexName\":\"correlation\",\"recsModel\":\"collabFiltering\","
        + (seed == null ? "" : "\"seed\":" + seed + ",") + "\"indicators\":[" + listed + "]}}]}";
  }

  /** Visits the rows of a table by item and indicator. */
  static void visit(byte[] table, Visitor visitor) {
    Table rows = new Table(table);
    Table.Texts items = rows.texts();
    Table.Texts indicators = rows.texts();
    Table.Numbers places = rows.numbers();
    Table.Texts correlators = rows.texts();
    Table.Numbers llr = rows.numbers();
    int row = 0;
    while (row < rows.rows()) {
      int first = row;
      do {
        row++;
      } while (row < rows.rows() && places.get(row) > 1);
      visitor.row(items.get(first), indicators.get(first), correlators, llr, first, row);
    }
  }

  /** Told of each item and indicator the rows of its correlators, strongest first. */
  interface Visitor {
    void row(String item, String indicator, Table.Texts correlators, Table.Numbers llr, int firstRow, int endRow);
  }
}
