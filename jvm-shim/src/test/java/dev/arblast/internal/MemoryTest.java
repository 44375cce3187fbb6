package dev.arblast.internal;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.Paths;
import java.util.Arrays;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What is closed or forgotten is freed. Measured in a JVM of its own, whose heap has its full size from the start. */
class MemoryTest {
  private static final int WARM_UP = 200;
  private static final int CYCLES = 800;
  private static final long GROWTH_KIB_MAX = 16 << 10;
  private static final int FORGOTTEN = 1000;

  @TempDir Path folder;

  @Test
  void trainsLeaveNothingBehind() {
    String output =
        ChildJvm.run(Arrays.asList("-Xms48m", "-Xmx48m", "-XX:+AlwaysPreTouch"), MemoryTest.class, "cycles", folder).succeeded().output;
    System.out.print(output);
    assertEquals(0, number(output, "open"));
    assertTrue(number(output, "grown KiB") < GROWTH_KIB_MAX, output);
  }

  @Test
  void theForgottenAreFreed() {
    String output = ChildJvm.run(Arrays.asList("-Xmx48m"), MemoryTest.class, "forgotten", folder).succeeded().output;
    System.out.print(output);
    assertEquals(FORGOTTEN, number(output, "made"));
    assertEquals(0, number(output, "open"));
  }

  /** The JVM throws its own error then, which would end an executor of Spark. */
  @Test
  void aResultThatTheHeapHasNoRoomForIsAnException() {
    String output = ChildJvm.run(Arrays.asList("-Xmx12m", "-XX:+UseSerialGC"), MemoryTest.class, "large").succeeded().output;
    assertTrue(output.startsWith("dev.arblast.UnavailableException: ") && output.contains("heap"), output);
  }

  private static long number(String output, String name) {
    return Long.parseLong(output.replaceAll("(?s).*\\b" + name + " (-?\\d+)\\b.*", "$1"));
  }

  /** For a JVM of its own. */
  public static void main(String[] arguments) throws Exception {
    if (arguments[0].equals("cycles")) {
      cycles(Paths.get(arguments[1]));
    } else if (arguments[0].equals("large")) {
      large();
    } else {
      forgotten();
    }
  }

  private static void large() {
    long session = Native.openSession(Samples.PLAIN.getBytes(UTF_8), Samples.NOW, true);
    Samples.pairs(session, 5_000_000, 20_000, 100_000);
    try {
      System.out.println(Native.portion(session).length);
    } catch (Throwable error) {
      System.out.println(error);
    }
  }

  private static void cycles(Path folder) throws IOException {
    Samples samples = new Samples(folder);
    long before = 0;
    for (int cycle = 0; cycle < WARM_UP + CYCLES; cycle++) {
      if (cycle == WARM_UP) {
        before = residentKib();
      }
      cycle(samples, folder, cycle % 10 == 0);
    }
    System.out.println("resident KiB " + before + " grown KiB " + (residentKib() - before) + " open " + Native.close(0));
  }

  private static void cycle(Samples samples, Path folder, boolean publish) {
    long session = Samples.trained(publish ? Samples.RICH : Samples.PLAIN);
    if (publish) {
      Samples.run(session, Samples.publish(folder.resolve("models"), "cycle", true));
    }
    long counting = Native.openCounting(samples.counting);
    Native.block(counting, 1, 0, 10);
    long model = Native.openModel(samples.model.toString().getBytes(UTF_8), Samples.PLAIN.getBytes(UTF_8));
    Native.answer(model, 0, Samples.QUERIES[1].getBytes(UTF_8), Samples.NOW);
    Native.table(model, 0, 0, 100);
    // An error costs no memory either.
    try {
      Native.merge(session, samples.portion);
    } catch (IllegalStateException expected) {
      Native.close(session);
    }
    Native.close(counting);
    Native.close(model);
  }

  private static void forgotten() throws InterruptedException {
    for (int made = 0; made < FORGOTTEN; made++) {
      TrainingSession.part(Samples.PLAIN, Samples.NOW);
    }
    System.gc();
    int open = Native.close(0);
    for (int n = 0; n < 100 && open > 0; n++) {
      System.gc();
      Thread.sleep(20);
      TrainingSession.part(Samples.PLAIN, Samples.NOW).close();
      open = Native.close(0);
    }
    System.out.println("made " + FORGOTTEN + " open " + open);
  }

  private static long residentKib() throws IOException {
    System.gc();
    for (String line : Files.readAllLines(Paths.get("/proc/self/status"))) {
      if (line.startsWith("VmRSS:")) {
        return Long.parseLong(line.replaceAll("\\D", ""));
      }
    }
    throw new AssertionError("no VmRSS");
  }
}
