package dev.arblast.spark.sql;

import dev.arblast.internal.Batch;
import dev.arblast.internal.Indicator;
import dev.arblast.internal.Model;
import dev.arblast.internal.TrainingSession;
import dev.arblast.spark.CorrelatorRows;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.stream.Collectors;
import org.apache.spark.TaskContext;
import org.apache.spark.sql.Row;

/** The correlators of a group: a small train within the task, whose model is read and thrown away. */
final class GroupTrain {
  private static final int ITEMS = 1024;

  private GroupTrain() {}

  /** Rows of {@link CorrelatorRows#SCHEMA}. */
  static List<Row> correlators(Interactions group) {
    if (group.primary() == null || !group.indicators().containsKey(group.primary())) {
      return Collections.emptyList();
    }
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
      return session.useModel(GroupTrain::rows);
    } catch (IOException error) {
      throw new UncheckedIOException("correlators: no temporary folder for the model: " + error.getMessage(), error);
    }
  }

  private static TrainingSession open(List<String> indicators) {
    try {
      String engine = Indicator.engine(indicators.stream().map(Indicator::new).collect(Collectors.toList()), null);
      // nothing here depends on the time
      return TrainingSession.open(engine, 0, GroupTrain::isCancelled);
    } catch (IllegalArgumentException wrong) {
      throw new IllegalArgumentException("correlators: other names of indicators are needed: " + wrong.getMessage(), wrong);
    }
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
      rows.addAll(CorrelatorRows.of(model.table(Model.CORRELATORS, first, first + ITEMS)));
    }
    return rows;
  }
}
