package dev.arblast.spark;

import dev.arblast.internal.Indicator;
import dev.arblast.internal.Model;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.BiConsumer;
import java.util.function.BiFunction;
import java.util.function.Consumer;
import org.apache.spark.api.java.JavaSparkContext;

/** Correlators of interactions that are no events: what {@link CrossOccurrence} and {@link SimilarityAnalysis} have in common. */
final class Correlation {
  /** Items of one table. */
  private static final int ITEMS = 1024;
  /** There are no times. */
  static final long NOW = 0;

  private final Map<String, Indicator> indicators = new LinkedHashMap<>();
  /** By indicator what adds its interactions to a train. */
  private final List<BiConsumer<Training, Source>> sources = new ArrayList<>();
  private Long seed;
  private Counters.Where where = Counters.Where.AUTO;

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
    Indicator indicator = new Indicator(name);
    if (indicators.putIfAbsent(name, indicator) != null) {
      throw new IllegalArgumentException("indicator " + name + " is given twice: names must differ");
    }
    sources.add(rows);
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
    String engine = Indicator.engine(indicators.values(), seed);
    try (Training training = new Training(spark, engine, NOW, told)) {
      int place = 0;
      for (BiConsumer<Training, Source> source : sources) {
        source.accept(training, new Source(engine, place++));
      }
      training.train(where, Runtime.getRuntime().availableProcessors(), null);
      return training.session().useModel(model -> pieces(model, piece));
    } catch (IOException error) {
      throw new UncheckedIOException(error);
    }
  }

  private static List<byte[]> pieces(Model model, BiFunction<Model, Integer, byte[]> piece) {
    List<byte[]> pieces = new ArrayList<>();
    for (int first = 0; first < model.items(); first += ITEMS) {
      pieces.add(piece.apply(model, first));
    }
    return pieces;
  }
}
