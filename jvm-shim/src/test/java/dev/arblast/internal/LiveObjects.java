package dev.arblast.internal;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.nio.file.Path;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.Random;

/** Open native objects in every stage, some for each, renewed as calls use them up. Any number of threads may use it. */
final class LiveObjects {
  /** What a key opens. */
  enum Kind {
    READING, RICH, DISTINCT, PART, TRAINING, TRAINED, KEPT, OVER, BUSY, COUNTING, SUMS, ANSWERING, READ_ONLY, CURSOR, APPEND
  }

  private static final int EACH = 2;
  private static final int STALE_MAX = 32;
  private static final int EXTRA_MAX = 16;

  private static final class Slot {
    long key;
    boolean spent = true;
  }

  private final Samples samples;
  private final Map<Kind, Slot[]> slots = new EnumMap<>(Kind.class);
  private final List<Long> stale = new ArrayList<>();
  private final Deque<Long> extra = new ArrayDeque<>();

  LiveObjects(Samples samples) {
    this.samples = samples;
    for (Kind kind : Kind.values()) {
      Slot[] some = new Slot[EACH];
      for (int i = 0; i < EACH; i++) {
        some[i] = new Slot();
      }
      slots.put(kind, some);
    }
  }

  /** The key of an object of a kind. One that calls have used is a new one every other time. */
  synchronized long pick(Kind kind, Random random) {
    Slot slot = slots.get(kind)[random.nextInt(EACH)];
    if (slot.key == 0 || slot.spent && random.nextBoolean()) {
      retire(slot.key);
      slot.key = open(kind);
      slot.spent = false;
    } else if (kind == Kind.BUSY && !isBusy(slot.key)) {
      slot.spent = true;
    }
    return slot.key;
  }

  /** It may be in any state now. */
  synchronized void spent(long key) {
    for (Slot[] some : slots.values()) {
      for (Slot slot : some) {
        slot.spent |= slot.key == key;
      }
    }
  }

  /** An object that a call made. */
  synchronized void adopt(long key) {
    extra.add(key);
    if (extra.size() > EXTRA_MAX) {
      retire(extra.remove());
    }
  }

  /** A key that was closed; 0 if none was. */
  synchronized long stale(Random random) {
    return stale.isEmpty() ? 0 : stale.get(random.nextInt(stale.size()));
  }

  synchronized void closeAll() {
    slots.values().forEach(some -> java.util.Arrays.stream(some).forEach(slot -> retire(slot.key)));
    extra.forEach(this::retire);
  }

  private void retire(long key) {
    Native.close(key);
    stale.add(key);
    if (stale.size() > STALE_MAX) {
      stale.remove(0);
    }
  }

  private static boolean isBusy(long key) {
    try {
      return !Native.await(key, 0);
    } catch (RuntimeException ended) {
      return false;
    }
  }

  private long open(Kind kind) {
    switch (kind) {
      case READING:
        return Samples.reading(Samples.PLAIN);
      case RICH:
        return Samples.reading(Samples.RICH);
      case DISTINCT:
        return Samples.reading(Samples.DISTINCT);
      case PART:
        return Native.openSession(Samples.PLAIN.getBytes(UTF_8), Samples.NOW, true);
      case TRAINING:
        return Samples.training(Samples.PLAIN);
      case TRAINED:
        return Samples.trained(Samples.PLAIN);
      case KEPT:
        return kept();
      case OVER:
        long over = Samples.reading(Samples.PLAIN);
        Native.portion(over);
        return over;
      case BUSY:
        return samples.busy();
      case COUNTING:
        return Native.openCounting(samples.counting);
      case SUMS:
        return sums();
      case CURSOR:
        return Native.openEvents(samples.home(), Samples.APP);
      case APPEND:
        return Native.openAppend(samples.home(), Samples.APP, Samples.NOW);
      case ANSWERING:
        return model(Samples.PLAIN.getBytes(UTF_8));
      default:
        return model(null);
    }
  }

  /** A session that counts nothing, because it keeps correlators. */
  private long kept() {
    long session = Samples.reading(Samples.BACKFILL);
    Samples.run(session, "{\"do\":\"prepare\",\"threads\":1,\"current\":" + Json.quote(samples.model.toString()) + "}");
    return session;
  }

  private long sums() {
    long counting = Native.openCounting(samples.counting);
    long sums = Native.openSums(counting, 1, 0, 10);
    Native.close(counting);
    return sums;
  }

  private long model(byte[] engine) {
    Path path = samples.model;
    return Native.openModel(path.toString().getBytes(UTF_8), engine);
  }
}
