package dev.arblast.internal;

/** The interactions of a train, in a process that counts ranges of items. Any number of threads may use it. */
public final class Counting extends NativeObject {
  /** From the bytes that {@link TrainingSession#counting} gave. */
  public Counting(byte[] bytes) {
    super(() -> Native.openCounting(bytes));
  }

  /** Items to be counted. */
  public int items() {
    return (int) Native.count(key(), Native.COUNTING_ITEMS);
  }

  /** Indicators, the primary one included. */
  public int indicators() {
    return (int) Native.count(key(), Native.COUNTING_INDICATORS);
  }

  /** The correlators of some items, for {@link TrainingSession#add}. */
  public byte[] block(int indicator, int firstItem, int endItem) {
    return Native.block(key(), indicator, firstItem, endItem);
  }
}
