package dev.arblast.internal;

/** A model file, mapped. Any number of threads may use it. */
public final class Model extends NativeObject {
  /** Rows (item, indicator, place from 1, correlator, LLR). */
  public static final int CORRELATORS = 0;
  /** Rows (item, properties as JSON). */
  public static final int ITEMS = 1;
  /** Rows (item, ranking, value). */
  public static final int RANKINGS = 2;

  private static final int LINES = 3;

  private static final int AS_JSON = 0;
  private static final int AS_TABLE = 1;

  /** {@code engine}: the text of the engine file by which queries are answered; null: none will be. */
  public Model(String path, String engine) {
    super(() -> Native.openModel(TrainingSession.utf8(path), engine == null ? null : TrainingSession.utf8(engine)));
  }

  public int items() {
    return (int) Native.count(key(), Native.MODEL_ITEMS);
  }

  public long users() {
    return Native.count(key(), Native.MODEL_USERS);
  }

  public long correlators() {
    return Native.count(key(), Native.MODEL_CORRELATORS);
  }

  /** {@code {"indicators":[…],"rankings":[…]}} */
  public String names() {
    return TrainingSession.text(Native.tell(key(), Native.NAMES));
  }

  /** The answer to a query, both JSON, as the query server gives it. {@code nowMs}: the time, for rules of dates. */
  public String answer(String query, long nowMs) {
    return TrainingSession.text(Native.answer(key(), AS_JSON, TrainingSession.utf8(query), nowMs));
  }

  /** The answer to a query as rows (item, score), best first. */
  public Table ranked(String query, long nowMs) {
    return new Table(Native.answer(key(), AS_TABLE, TrainingSession.utf8(query), nowMs));
  }

  /** Rows of the items from {@code firstItem} to before {@code endItem}, items in byte order of their ids. */
  public Table table(int what, int firstItem, int endItem) {
    return new Table(tableBytes(what, firstItem, endItem));
  }

  /** Correlators of such items as lines {@code {"item":…,"indicator":…,"correlators":[["id",llr],…]}}, in UTF-8. */
  public byte[] lines(int firstItem, int endItem) {
    return Native.table(key(), LINES, firstItem, endItem);
  }

  /** The same as bytes, to travel. */
  public byte[] tableBytes(int what, int firstItem, int endItem) {
    return Native.table(key(), what, firstItem, endItem);
  }
}
