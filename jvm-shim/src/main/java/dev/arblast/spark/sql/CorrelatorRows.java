package dev.arblast.spark.sql;

import dev.arblast.internal.Batch;
import dev.arblast.internal.Json;
import dev.arblast.internal.Model;
import dev.arblast.internal.Table;
import dev.arblast.internal.TrainingSession;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Comparator;
import java.util.List;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.apache.spark.TaskContext;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.RowFactory;
import org.apache.spark.sql.types.DataType;
import org.apache.spark.sql.types.DataTypes;
import org.apache.spark.sql.types.StructType;

/** The correlators of a group: a small train within the task, whose model is read and thrown away. */
final class CorrelatorRows {
  private static final StructType CORRELATOR =
      new StructType().add("id", DataTypes.StringType, false).add("llr", DataTypes.DoubleType, false);

  /** What {@link #of} gives. */
  static final DataType TYPE =
      DataTypes.createArrayType(
          new StructType()
              .add("item", DataTypes.StringType, false)
              .add("indicator", DataTypes.StringType, false)
              .add("correlators", DataTypes.createArrayType(CORRELATOR, false), false),
          false);

  private static final int ITEMS = 1024;

  private CorrelatorRows() {}

  static List<Row> of(Interactions group) {
    if (group.primary() == null || !group.indicators().containsKey(group.primary())) {
      return Collections.emptyList();
    }
    Path folder = null;
    try {
      folder = Files.createTempDirectory("arblast-correlators-");
      try (Model model = new Model(train(group, folder).toString(), null)) {
        return rows(model);
      }
    } catch (IOException error) {
      throw new UncheckedIOException("correlators: no temporary folder for the model: " + error.getMessage(), error);
    } finally {
      delete(folder);
    }
  }

  /** Gives the file of the model. */
  private static Path train(Interactions group, Path folder) throws IOException {
    List<String> indicators = new ArrayList<>(group.indicators().keySet());
    indicators.remove(group.primary());
    indicators.add(0, group.primary());
    try (TrainingSession session = open(indicators)) {
      Batch batch = new Batch(2, 0);
      for (int i = 0; i < indicators.size(); i++) {
        push(session, i, group.indicators().get(indicators.get(i)), batch);
      }
      // one core is what a task has
      session.prepare(1, null);
      session.correlate(1);
      session.assemble();
      session.publish(folder.toString(), "correlators", 0, -1, true);
    }
    try (DirectoryStream<Path> engines = Files.newDirectoryStream(folder)) {
      return engines.iterator().next().resolve("0000000001").resolve("model.arblast");
    }
  }

  private static TrainingSession open(List<String> indicators) {
    try {
      // nothing here depends on the time
      return TrainingSession.open(engine(indicators), 0, CorrelatorRows::isCancelled);
    } catch (IllegalArgumentException wrong) {
      throw new IllegalArgumentException("correlators: other names of indicators are needed: " + wrong.getMessage(), wrong);
    }
  }

  private static String engine(List<String> indicators) {
    String names = indicators.stream().map(Json::quote).collect(Collectors.joining(",", "[", "]"));
    String params = "\"params\":{\"appName\":\"group\",\"eventNames\":" + names;
    return "{\"id\":\"correlators\",\"engineFactory\":\"com.actionml.RecommendationEngine\",\"datasource\":{" + params
        + "}},\"algorithms\":[{\"name\":\"ur\"," + params + ",\"indexName\":\"group\",\"recsModel\":\"collabFiltering\"}}]}";
  }

  private static boolean isCancelled() {
    TaskContext task = TaskContext.get();
    return task != null && task.isInterrupted();
  }

  private static void push(TrainingSession session, int indicator, PairBytes pairs, Batch batch) {
    pairs.forEach(
        (user, item) -> {
          batch.text(0).add(user);
          batch.text(1).add(item);
          if (batch.endRow()) {
            session.pushPairs(indicator, batch);
          }
        });
    session.pushPairs(indicator, batch);
  }

  private static List<Row> rows(Model model) {
    List<Row> rows = new ArrayList<>();
    for (int first = 0; first < model.items(); first += ITEMS) {
      addRows(model.table(Model.CORRELATORS, first, first + ITEMS), rows);
    }
    return rows;
  }

  /** The rows of a table come by item, indicator and place. */
  private static void addRows(Table table, List<Row> rows) {
    Table.Texts items = table.texts();
    Table.Texts indicators = table.texts();
    Table.Numbers places = table.numbers();
    Table.Texts ids = table.texts();
    Table.Numbers llrs = table.numbers();
    List<Row> correlators = new ArrayList<>();
    for (int row = 0; row < table.rows(); row++) {
      correlators.add(RowFactory.create(ids.get(row), llrs.get(row)));
      boolean isLast = row + 1 == table.rows() || places.get(row + 1) == 1;
      if (isLast) {
        rows.add(RowFactory.create(items.get(row), indicators.get(row), correlators.toArray(new Row[0])));
        correlators.clear();
      }
    }
  }

  private static void delete(Path folder) {
    if (folder == null) {
      return;
    }
    try (Stream<Path> all = Files.walk(folder)) {
      all.sorted(Comparator.reverseOrder()).forEach(path -> path.toFile().delete());
    } catch (IOException | UncheckedIOException error) {
      // what stays is in the temporary folder, and no reason to lose a result
      folder.toFile().deleteOnExit();
    }
  }
}
