package dev.arblast.internal;

import java.nio.file.Path;
import java.util.function.Function;

/** What a test does with classes of another class loader: named by its argument, reached as a {@link Function} of the JDK. */
public final class LoadedElsewhere implements Function<Path, String> {
  private TrainingSession held;

  /** Trains a little, and gives the digest of the model; for {@code null}: begins to count, and leaves before the end. */
  @Override
  public String apply(Path folder) {
    return folder == null ? begun() : trained(folder);
  }

  private String trained(Path folder) {
    throwsOwnClasses();
    long session = Samples.trained(Samples.PLAIN);
    String told = Samples.run(session, Samples.publish(folder, "run", true));
    Native.close(session);
    held = TrainingSession.part(Samples.PLAIN, Samples.NOW);
    return told.replaceAll(".*\"digest\":\"([0-9a-f]+)\".*", "$1");
  }

  /** The context class loader knows a class of the same name, which no `catch` here means. */
  private static void throwsOwnClasses() {
    try {
      Native.openCounting(new byte[9]);
      throw new AssertionError("bytes of nothing are counted");
    } catch (dev.arblast.CorruptDataException expected) {
      // As it should be.
    }
  }

  private String begun() {
    held = TrainingSession.part(Samples.PLAIN, Samples.NOW);
    long session = Native.openSession(Samples.LONG.getBytes(java.nio.charset.StandardCharsets.UTF_8), Samples.NOW, false);
    Samples.pairs(session, 2_000_000, 2000, 3000);
    Samples.run(session, "{\"do\":\"prepare\",\"threads\":1}");
    Native.start(session, "{\"do\":\"correlate\",\"threads\":2}".getBytes(java.nio.charset.StandardCharsets.UTF_8));
    return "begun " + Native.await(session, 1);
  }
}
