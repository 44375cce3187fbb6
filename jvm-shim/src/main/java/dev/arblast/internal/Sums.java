package dev.arblast.internal;

/** Counters of some items that sum up over parts of the users, where no process can hold all interactions. One caller at a time. */
public final class Sums extends NativeObject {
  /** For items of an indicator; {@code part} is any of the parts. */
  public Sums(Counting part, int indicator, int firstItem, int endItem) {
    super(() -> Native.openSums(part.key(), indicator, firstItem, endItem));
  }

  /** Adds a part; each once, in any order. */
  public void add(Counting part) {
    Native.addSums(key(), part.key());
  }

  /** The correlators when all parts are in, for {@link TrainingSession#add}. */
  public byte[] block() {
    return Native.sums(key());
  }
}
