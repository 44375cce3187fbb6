package dev.arblast.internal;

import java.nio.ByteBuffer;

/**
 * The native methods. Objects are known by keys of a native table: a key that is closed, 0 or invented is an {@link IllegalStateException}.
 * Texts are UTF-8. Columns are direct buffers with Arrow's layout: a column of texts is a bitmap of its rows (null: all have a value),
 * offsets and bytes; a column of numbers a bitmap and 64-bit values. Whoever calls keeps to the typed classes around this one.
 */
public final class Native {
  static {
    NativeLibrary.load();
  }

  private Native() {}

  /** Version, commit and target of the library, separated by blanks. */
  static native byte[] identity();

  /** A train of an engine file at a time (ms). A part only reads, for a session elsewhere. */
  static native long openSession(byte[] engine, long nowMs, boolean part);

  /** One column of event JSON. Gives the rows that were no events, which is an error unless they may be skipped. */
  static native long pushLines(long session, boolean skip, int rows, ByteBuffer[] columns);

  /** Whole lines: event JSON, or {@code user,item} of an indicator that is not negative. Gives the lines that were no events. */
  static native long pushText(long session, boolean skip, int indicator, ByteBuffer text);

  /** The columns of {@link Batch#EVENT_TEXTS} and {@link Batch#EVENT_NUMBERS}. */
  static native long pushEvents(long session, boolean skip, int rows, ByteBuffer[] columns);

  /** Two columns: user and item. */
  static native void pushPairs(long session, int indicator, int rows, ByteBuffer[] columns);

  static native void merge(long session, byte[] portion);

  /** Gives away what was read; the session is over. */
  static native byte[] portion(long session);

  /** Begins a request in JSON. */
  static native void start(long session, byte[] request);

  /** Has it ended? Waits at most this long, and never more than ten seconds. */
  static native boolean await(long session, long millis);

  static native void stop(long session);

  static final int PROGRESS = 0;
  static final int RESULT = 1;
  static final int SUMMARY = 2;
  static final int NAMES = 4;
  static final int FOLDER = 5;
  static final int SPARK_CONF = 6;

  static native byte[] tell(long object, int what);

  static final int ITEMS = 0;
  static final int INDICATORS = 1;
  static final int CELLS = 2;
  static final int INCREMENTS = 3;
  static final int THINGS = 4;
  static final int LEARNS = 5;
  static final int KEEPS = 6;
  static final int MODEL_ITEMS = 10;
  static final int MODEL_USERS = 11;
  static final int MODEL_CORRELATORS = 12;
  static final int COUNTING_ITEMS = 20;
  static final int COUNTING_INDICATORS = 21;

  static native long count(long object, int what);

  /** What to count with: one of so many parts of the users. */
  static native byte[] counting(long session, int part, int parts);

  static native long openCounting(byte[] counting);

  /** Counters of some items that sum up over all parts. */
  static native long openSums(long anyPart, int indicator, int firstItem, int endItem);

  static native void addSums(long sums, long part);

  /** The block of correlators, when all parts are in. */
  static native byte[] sums(long sums);

  static native byte[] block(long counting, int indicator, int firstItem, int endItem);

  static native void addBlock(long session, byte[] block);

  /** A model file, and the engine file by which it answers; null: only to be read. */
  static native long openModel(byte[] path, byte[] engine);

  /** The answer to a query, 0: as JSON, 1: as a table. */
  static native byte[] answer(long model, int form, byte[] query, long nowMs);

  /** Rows of some items of a model, 0: correlators, 1: items, 2: rankings, 3: correlators as lines of JSON. */
  static native byte[] table(long model, int what, int firstItem, int endItem);

  static native double llr(long k11, long k12, long k21, long k22);

  /** All events of an app in the embedded store of a home. */
  static native long openEvents(byte[] home, byte[] app);

  /** The next rows of {@link EventCursor}; no rows: that was all. */
  static native byte[] nextEvents(long cursor);

  /** Events to be stored in an app; {@code nowMs}: creation time of those that have none. */
  static native long openAppend(byte[] home, byte[] app, long nowMs);

  /** Are these events? The columns of {@link #pushEvents}. */
  static native void checkEvents(int rows, ByteBuffer[] columns);

  /** Adds events, all or none: the columns of {@link #pushEvents}. */
  static native void addEvents(long append, int rows, ByteBuffer[] columns);

  /** Stores all that was added, durably, or nothing. Gives a warning, or an empty text. */
  static native byte[] commit(long append);

  /** Gives how many objects are still open in this process (and class loader). */
  static native int close(long object);
}
