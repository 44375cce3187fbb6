package dev.arblast.internal;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.charset.StandardCharsets;
import java.util.concurrent.CancellationException;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** Long work ends soon after it is told to. */
class CancellationTest {
  private static final long ENDS_MS = 2500;
  private static final long TAKES_MS = 3000;
  private static final long LOOK_MS = 300;

  private static byte[] portion;

  private final AtomicBoolean cancelled = new AtomicBoolean();
  private TrainingSession session;

  @BeforeAll
  static void makePortion() {
    try (TrainingSession part = TrainingSession.part(Samples.LONG, Samples.NOW)) {
      Samples.pairs(part.key(), 9_000_000, 2000, 5000);
      portion = part.portion();
    }
  }

  @BeforeEach
  void prepare() {
    session = TrainingSession.open(Samples.LONG, Samples.NOW, cancelled::get);
    session.merge(portion);
    session.prepare(2, null);
  }

  @AfterEach
  void close() {
    session.close();
  }

  @Test
  void anInterruptEndsCounting() throws InterruptedException {
    assertEndsSoonAfter(Thread::interrupt);
  }

  @Test
  void aCancelledTaskEndsCounting() throws InterruptedException {
    assertEndsSoonAfter(thread -> cancelled.set(true));
  }

  private interface Cancelling {
    void cancel(Thread thread);
  }

  private void assertEndsSoonAfter(Cancelling cancelling) throws InterruptedException {
    AtomicReference<Throwable> thrown = new AtomicReference<>();
    Thread thread = new Thread(() -> thrown.set(assertThrows(Throwable.class, () -> session.correlate(1))));
    thread.start();
    // The first indicator is counted by pairs, the second by rows, whose share tells how long all of them take.
    double begun = share("correlate view");
    while (begun == 0) {
      Thread.sleep(1);
      begun = share("correlate view");
    }
    Thread.sleep(LOOK_MS);
    double whole = LOOK_MS / (share("correlate view") - begun);
    assertTrue(whole > TAKES_MS, () -> "this would have taken " + whole + " ms: too little to be cancelled");
    long cancel = System.nanoTime();
    cancelling.cancel(thread);
    thread.join();
    long took = (System.nanoTime() - cancel) / 1_000_000;
    System.out.printf("cancelled what takes %.0f ms; it ended after %d ms%n", whole, took);
    assertEquals(CancellationException.class, thrown.get().getClass());
    assertTrue(took < ENDS_MS, () -> "ended " + took + " ms later");
    assertThrows(IllegalStateException.class, session::items, "a cancelled train is over");
  }

  /** How much of a stage is done. */
  private double share(String stage) {
    String[] progress = new String(Native.tell(session.key(), Native.PROGRESS), StandardCharsets.UTF_8).split("\t");
    return progress[0].equals(stage) ? Double.parseDouble(progress[1]) / Double.parseDouble(progress[2]) : 0;
  }
}
