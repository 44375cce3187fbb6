package dev.arblast.internal;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.arblast.CorruptDataException;
import java.nio.file.Path;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/**
 * Portions, interactions and blocks that are wrong under a right checksum, as another program could make them, or a process of this job
 * with bad memory: what is not noticed at once must do no harm in any later step, up to a model that answers.
 */
class ForgeryTest {
  private static final long SEED = Long.getLong("border.seed", 1);
  private static final int TRAINS = Integer.getInteger("border.trains", 400);

  @TempDir Path folder;
  private final Random random = new Random(SEED);
  private final Map<String, Integer> ends = new TreeMap<>();
  private Samples samples;

  @Test
  @Timeout(60)
  void whatIsNotNoticedDoesNoHarmLater() {
    samples = new Samples(folder.resolve("samples"));
    for (int train = 0; train < TRAINS; train++) {
      String step = "none";
      try {
        step = train();
      } catch (RuntimeException error) {
        if (!BorderFuzz.DOCUMENTED.contains(error.getClass())) {
          throw new AssertionError("seed " + SEED + ", train " + train, error);
        }
        step = error.getClass().getSimpleName();
      }
      ends.merge(step, 1, Integer::sum);
    }
    System.out.println("forgeries: " + ends);
    assertTrue(ends.containsKey("answered") && ends.size() > 2, ends::toString);
  }

  @Test
  void whatIsClaimedMustBeThere() {
    // One indicator, at most ten correlators; then as many things as there can be, and no users.
    byte[] forged = {'A', 'R', 'B', 'C', 2, 1, 10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, -1, -1, -1, -1, 15, 0, 0, 0, 0, 0};
    assertThrows(CorruptDataException.class, () -> Native.openCounting(Mutator.sealed(forged)));
    byte[] honest = {'A', 'R', 'B', 'C', 2, 1, 10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0};
    long counting = Native.openCounting(Mutator.sealed(honest));
    assertEquals(8, Native.count(counting, Native.COUNTING_ITEMS));
    Native.close(counting);
  }

  /** One in four is forged. */
  private byte[] maybeForged(byte[] bytes) {
    if (random.nextInt(4) > 0) {
      return bytes;
    }
    byte[] forged = bytes.clone();
    for (int n = 1 + random.nextInt(2); n > 0; n--) {
      int at = random.nextInt(forged.length);
      forged[at] = (byte) (random.nextBoolean() ? random.nextInt(256) : forged[at] + random.nextInt(3) - 1);
    }
    return Mutator.sealed(forged);
  }

  private String train() {
    boolean rich = random.nextBoolean();
    long session = Native.openSession((rich ? Samples.RICH : Samples.PLAIN).getBytes(UTF_8), Samples.NOW, false);
    long counting = 0;
    try {
      Native.merge(session, maybeForged(rich ? samples.richPortion : samples.portion));
      Samples.run(session, "{\"do\":\"prepare\",\"threads\":2}");
      counting = Native.openCounting(maybeForged(Native.counting(session, 0, 1)));
      int items = (int) Native.count(session, Native.ITEMS);
      for (int indicator = 0; indicator < 2; indicator++) {
        int half = items / 2;
        Native.addBlock(session, maybeForged(Native.block(counting, indicator, 0, half)));
        Native.addBlock(session, maybeForged(Native.block(counting, indicator, half, items)));
      }
      Samples.run(session, "{\"do\":\"assemble\"}");
      return answered(Samples.run(session, Samples.publish(folder.resolve("models"), "run", true)));
    } finally {
      Native.close(session);
      Native.close(counting);
    }
  }

  private String answered(String told) {
    String generation = String.format("%010d", Long.parseLong(told.replaceAll(".*\"generation\":(\\d+).*", "$1")));
    String directory = told.replaceAll(".*\"directory\":\"([^\"]+)\".*", "$1");
    byte[] path = (directory + "/" + generation + "/model.arblast").getBytes(UTF_8);
    long model = Native.openModel(path, Samples.RICH.getBytes(UTF_8));
    try {
      for (String query : Samples.QUERIES) {
        Native.answer(model, random.nextInt(2), query.getBytes(UTF_8), Samples.NOW);
      }
      for (int what = 0; what < 3; what++) {
        Native.table(model, what, 0, Integer.MAX_VALUE);
      }
      return "answered";
    } finally {
      Native.close(model);
    }
  }
}
