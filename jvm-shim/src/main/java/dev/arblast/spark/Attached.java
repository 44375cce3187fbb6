package dev.arblast.spark;

import java.io.IOException;

/** A process that does not outlive who started it: it ends when its standard input does. */
final class Attached {
  /** For Spark to say goodbye to its cluster. */
  private static final long PATIENCE_MS = 20_000;

  private Attached() {}

  /** From now on. */
  static void toInput() {
    Thread watch = new Thread(Attached::watch, "arblast-attached");
    watch.setDaemon(true);
    watch.start();
  }

  private static void watch() {
    try {
      while (System.in.read() >= 0) {
        // Nothing is said there.
      }
    } catch (IOException broken) {
      // As good as its end.
    }
    Thread exit = new Thread(() -> System.exit(TrainJob.UNAVAILABLE), "arblast-exit");
    exit.setDaemon(true);
    exit.start();
    try {
      Thread.sleep(PATIENCE_MS);
    } catch (InterruptedException atOnce) {
      // Then without a goodbye.
    }
    Runtime.getRuntime().halt(TrainJob.UNAVAILABLE);
  }
}
