package dev.arblast.internal;

import java.nio.ByteBuffer;

/** Rows on their way in: some columns of texts, then some of 64-bit numbers. */
public final class Batch {
  /** Rows that a batch holds. */
  public static final int ROWS = 8192;
  /** Bytes of one column after which a batch goes in early. */
  static final int BYTES = 4 << 20;

  /** Text columns of events: event, entityType, entityId, targetEntityType, targetEntityId, properties, eventId, eventTime, creationTime. */
  public static final int EVENT_TEXTS = 9;
  /** Number columns of events: eventTime and creationTime in µs, for those that are no texts. */
  public static final int EVENT_NUMBERS = 2;

  private final TextColumn[] texts;
  private final NumberColumn[] numbers;
  private int rows;

  public Batch(int texts, int numbers) {
    this.texts = new TextColumn[texts];
    this.numbers = new NumberColumn[numbers];
    for (int i = 0; i < texts; i++) {
      this.texts[i] = new TextColumn();
    }
    for (int i = 0; i < numbers; i++) {
      this.numbers[i] = new NumberColumn();
    }
  }

  /** A column of texts. Each row must add to each of them. */
  public TextColumn text(int column) {
    return texts[column];
  }

  /** The value of the current row in a column of numbers; null: none. */
  public void number(int column, Long value) {
    if (value != null) {
      number(column, value.longValue());
    }
  }

  /** The value of the current row in a column of numbers. */
  public void number(int column, long value) {
    numbers[column].set(rows, value);
  }

  /** The row is complete. Gives whether the batch should go in before the next. */
  public boolean endRow() {
    rows++;
    boolean full = rows == ROWS;
    for (TextColumn column : texts) {
      full |= column.isLong();
    }
    return full;
  }

  /** Rows that wait. */
  public int rows() {
    return rows;
  }

  ByteBuffer[] buffers() {
    ByteBuffer[] all = new ByteBuffer[texts.length * 3 + numbers.length * 2];
    for (int i = 0; i < texts.length; i++) {
      texts[i].buffers(all, i * 3);
    }
    for (int i = 0; i < numbers.length; i++) {
      numbers[i].buffers(all, texts.length * 3 + i * 2, rows);
    }
    return all;
  }

  void clear() {
    rows = 0;
    for (TextColumn column : texts) {
      column.clear();
    }
    for (NumberColumn column : numbers) {
      column.clear();
    }
  }
}
