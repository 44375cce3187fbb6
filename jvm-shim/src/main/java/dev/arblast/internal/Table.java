package dev.arblast.internal;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;

/** Rows that came from the library: read its columns in their order, texts or numbers. Nothing is copied. */
public final class Table {
  private final byte[] bytes;
  private final ByteBuffer numbers;
  private final int rows;
  private int at;

  public Table(byte[] bytes) {
    this.bytes = bytes;
    this.numbers = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
    this.rows = numbers.getInt(0);
    this.at = 8;
  }

  public int rows() {
    return rows;
  }

  /** The next column, which is of texts. */
  public Texts texts() {
    int offsets = at;
    int first = padded(offsets + (rows + 1) * 4);
    at = padded(first + numbers.getInt(offsets + rows * 4));
    return new Texts(offsets, first);
  }

  /** The next column, which is of numbers. */
  public Numbers numbers() {
    int first = at;
    at += rows * 8;
    return new Numbers(first);
  }

  private static int padded(int position) {
    return (position + 7) & ~7;
  }

  /** A column of texts. */
  public final class Texts {
    private final int offsets;
    private final int first;

    Texts(int offsets, int first) {
      this.offsets = offsets;
      this.first = first;
    }

    /** What {@link #start} counts in. */
    public byte[] bytes() {
      return bytes;
    }

    public int start(int row) {
      return first + numbers.getInt(offsets + row * 4);
    }

    public int length(int row) {
      return numbers.getInt(offsets + (row + 1) * 4) - numbers.getInt(offsets + row * 4);
    }

    public String get(int row) {
      return new String(bytes, start(row), length(row), StandardCharsets.UTF_8);
    }
  }

  /** A column of numbers. */
  public final class Numbers {
    private final int first;

    Numbers(int first) {
      this.first = first;
    }

    public double get(int row) {
      return numbers.getDouble(first + row * 8);
    }

    /** Of a column of whole numbers. */
    public long getLong(int row) {
      return numbers.getLong(first + row * 8);
    }
  }
}
