package dev.arblast;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.arblast.internal.Batch;
import dev.arblast.internal.Counting;
import dev.arblast.internal.TrainingSession;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A train and its answers through the border, without Spark. */
class RecommenderTest {
  static final String ENGINE =
      "{\"id\":\"default\",\"engineFactory\":\"com.actionml.RecommendationEngine\",\"datasource\":{\"params\":{\"appName\":\"shop\",\"eventNames\":[\"buy\",\"view\"]}},"
          + "\"algorithms\":[{\"name\":\"ur\",\"params\":{\"appName\":\"shop\",\"indexName\":\"shop\",\"eventNames\":[\"buy\",\"view\"]}}]}";

  @TempDir Path folder;

  private static TrainingSession lines(String... lines) {
    TrainingSession session = TrainingSession.open(ENGINE, 1_700_000_000_000L, () -> false);
    push(session, lines);
    return session;
  }

  private static void push(TrainingSession session, String... lines) {
    Batch batch = new Batch(1, 0);
    for (String line : lines) {
      batch.text(0).add(line);
      batch.endRow();
    }
    session.pushLines(batch, false);
  }

  private static String event(String event, String user, String item) {
    return "{\"event\":\"" + event + "\",\"entityType\":\"user\",\"entityId\":\"" + user
        + "\",\"targetEntityType\":\"item\",\"targetEntityId\":\"" + item + "\",\"eventTime\":\"2023-11-01T00:00:00Z\"}";
  }

  private static final String[] LINES = {
    event("buy", "u1", "tent"), event("buy", "u1", "stove"), event("buy", "u2", "tent"), event("buy", "u2", "stove"),
    event("buy", "u3", "rope"), event("view", "u1", "lamp"), event("view", "u3", "tent"),
  };

  @Test
  void aTrainHereAndOneInPiecesGiveTheSameModel() {
    String digest;
    try (TrainingSession session = lines(LINES)) {
      session.prepare(2, null);
      session.correlate(2);
      session.assemble();
      String told = session.publish(folder.resolve("one").toString(), "run", 0, -1, false);
      assertTrue(told.contains("\"generation\":1"), told);
      digest = told.replaceAll(".*\"digest\":\"([0-9a-f]+)\".*", "$1");
      String file = told.replaceAll(".*\"directory\":\"([^\"]+)\".*", "$1") + "/0000000001/model.arblast";
      try (Recommender recommender = Recommender.open(file, ENGINE)) {
        assertEquals("stove", recommender.similar("tent", 1).get(0).item);
        assertEquals("stove", recommender.recommend(java.util.Collections.singletonList("tent"), 1).get(0).item);
        assertTrue(recommender.query("{\"item\":\"tent\",\"num\":1}").contains("\"item\":\"stove\""));
        assertThrows(IllegalArgumentException.class, () -> recommender.query("{\"num\":-1}"));
      }
    }
    try (TrainingSession part = TrainingSession.part(ENGINE, 1_700_000_000_000L);
        TrainingSession session = lines(java.util.Arrays.copyOf(LINES, 3))) {
      push(part, java.util.Arrays.copyOfRange(LINES, 3, LINES.length));
      session.merge(part.portion());
      session.prepare(1, null);
      try (Counting counting = new Counting(session.counting())) {
        for (int indicator = 0; indicator < counting.indicators(); indicator++) {
          for (int item = 0; item < counting.items(); item++) {
            session.add(counting.block(indicator, item, item + 1));
          }
        }
      }
      session.assemble();
      String told = session.publish(folder.resolve("two").toString(), "run", 0, -1, false);
      assertTrue(told.contains(digest), told);
    }
  }

  @Test
  void errorsNameWhatIsWrong() {
    IllegalArgumentException bad = assertThrows(IllegalArgumentException.class, () -> lines("{\"event\":\"buy\"}"));
    assertTrue(bad.getMessage().contains("entityType") && bad.getMessage().contains("{\"event\":\"buy\"}"), bad.getMessage());
    try (TrainingSession session = lines(event("view", "u", "i"))) {
      IllegalArgumentException none = assertThrows(IllegalArgumentException.class, () -> session.prepare(1, null));
      assertTrue(none.getMessage().contains("no primary events"), none.getMessage());
      assertThrows(IllegalStateException.class, () -> session.prepare(1, null));
    }
    TrainingSession closed = lines();
    closed.close();
    closed.close();
    assertThrows(IllegalStateException.class, closed::items);
  }
}
