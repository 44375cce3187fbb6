package dev.arblast.spark;

import dev.arblast.internal.Counting;
import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import org.apache.spark.broadcast.Broadcast;

/** The interactions that tasks of this process count with: unpacked once, shared, and freed soon after the last task. */
final class SharedCounting {
  /** A wave of tasks follows the one before it within this time. */
  private static final long LINGER_S = 20;

  private static final Map<Long, SharedCounting> OPEN = new HashMap<>();
  private static ScheduledExecutorService cleaner;

  private final Counting counting;
  private int users;
  private long uses;

  private SharedCounting(Counting counting) {
    this.counting = counting;
  }

  static byte[] block(Broadcast<byte[]> bytes, int indicator, int firstItem, int endItem) {
    SharedCounting shared = take(bytes);
    try {
      return shared.counting.block(indicator, firstItem, endItem);
    } finally {
      shared.release(bytes.id());
    }
  }

  private static synchronized SharedCounting take(Broadcast<byte[]> bytes) {
    SharedCounting shared = OPEN.get(bytes.id());
    if (shared == null) {
      shared = new SharedCounting(new Counting(bytes.value()));
      OPEN.put(bytes.id(), shared);
    }
    shared.users++;
    shared.uses++;
    return shared;
  }

  private void release(long id) {
    synchronized (SharedCounting.class) {
      users--;
      long seen = uses;
      cleaner().schedule(() -> closeIfUnusedSince(id, seen), LINGER_S, TimeUnit.SECONDS);
    }
  }

  private static void closeIfUnusedSince(long id, long uses) {
    synchronized (SharedCounting.class) {
      SharedCounting shared = OPEN.get(id);
      if (shared != null && shared.users == 0 && shared.uses == uses) {
        OPEN.remove(id);
        shared.counting.close();
      }
    }
  }

  private static ScheduledExecutorService cleaner() {
    if (cleaner == null) {
      cleaner =
          Executors.newSingleThreadScheduledExecutor(
              run -> {
                Thread thread = new Thread(run, "arblast-cleaner");
                thread.setDaemon(true);
                return thread;
              });
    }
    return cleaner;
  }
}
