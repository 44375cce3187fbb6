package dev.arblast.internal;

import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** No call from Java harms the process, whatever its arguments. {@code -Dborder.seed=N -Dborder.calls=N} try others. */
class BorderTest {
  private static final long SEED = Long.getLong("border.seed", 1);
  private static final int CALLS = Integer.getInteger("border.calls", 10_000);
  private static final int THREADS = 8;

  @TempDir Path folder;
  private Samples samples;

  @BeforeEach
  void makeSamples() throws IOException {
    samples = new Samples(folder.resolve("samples"));
    Files.createDirectories(folder.resolve("home").resolve("store"));
  }

  @Test
  @Timeout(60)
  void noArgumentsDoHarm() throws IOException {
    int before = Native.close(0);
    LiveObjects objects = new LiveObjects(samples);
    Map<String, Map<String, Integer>> outcomes =
        BorderFuzz.run(SEED, CALLS, samples, objects, folder, new ColumnSource(), journal());
    System.out.println("seed " + SEED + ": " + outcomes);
    BorderFuzz.METHODS.forEach(method -> assertTrue(
        outcomes.getOrDefault(method.getName(), java.util.Collections.emptyMap()).containsKey("success"),
        () -> method + " has never succeeded: its arguments are nonsense. " + outcomes));
    objects.closeAll();
    assertOpenAtMost(before);
  }

  @Test
  @Timeout(60)
  void manyThreadsDoNoHarm() throws Exception {
    int before = Native.close(0);
    LiveObjects objects = new LiveObjects(samples);
    SharedColumns shared = new SharedColumns();
    ExecutorService pool = Executors.newFixedThreadPool(THREADS + 1);
    AtomicBoolean over = new AtomicBoolean();
    try {
      Future<?> scribbler = pool.submit(() -> shared.scribbleUntil(over));
      List<Future<?>> threads = new ArrayList<>();
      for (int thread = 0; thread < THREADS; thread++) {
        long seed = SEED * 1000 + thread;
        ByteBuffer journal = ByteBuffer.allocate(100);
        threads.add(pool.submit(() -> BorderFuzz.run(seed, CALLS / THREADS, samples, objects, folder, shared.source(), journal)));
      }
      for (Future<?> thread : threads) {
        thread.get();
      }
      over.set(true);
      scribbler.get();
    } finally {
      over.set(true);
      pool.shutdown();
      assertTrue(pool.awaitTermination(10, TimeUnit.SECONDS));
    }
    objects.closeAll();
    assertOpenAtMost(before);
  }

  /** Others' objects may have been closed, for a key can be guessed. */
  private static void assertOpenAtMost(int before) {
    int open = Native.close(0);
    assertTrue(open <= before, () -> open + " objects are open, " + before + " were before");
  }

  private static ByteBuffer journal() throws IOException {
    try (RandomAccessFile file = new RandomAccessFile("target/border-last-call", "rw")) {
      return file.getChannel().map(FileChannel.MapMode.READ_WRITE, 0, 100);
    }
  }

  /** Columns that one thread writes to while others hand them over. */
  private static final class SharedColumns {
    private final ColumnSource lines = filled("pushLines");
    private final ColumnSource pairs = filled("pushPairs");
    private final ColumnSource events = filled("pushEvents");

    private static ColumnSource filled(String method) {
      ColumnSource source = new ColumnSource();
      source.fill(method, new Random(SEED));
      return source;
    }

    private ColumnSource of(String method) {
      return method.equals("pushLines") ? lines : method.equals("pushPairs") ? pairs : events;
    }

    void scribbleUntil(AtomicBoolean over) {
      Mutator mutator = new Mutator(new Random(SEED));
      for (int n = 0; !over.get(); n++) {
        ColumnSource source = n % 3 == 0 ? lines : n % 3 == 1 ? pairs : events;
        for (ByteBuffer buffer : source.buffers()) {
          mutator.scribble(buffer);
        }
        Thread.yield();
      }
    }

    /** Own columns, and every fourth time the shared ones. */
    ColumnSource source() {
      return new ColumnSource() {
        private ByteBuffer[] buffers;

        @Override
        int fill(String method, Random random) {
          int rows = super.fill(method, random);
          buffers = random.nextInt(4) == 0 ? of(method).buffers() : super.buffers();
          return rows;
        }

        @Override
        ByteBuffer[] buffers() {
          return buffers;
        }
      };
    }
  }
}
