package dev.arblast.internal;

import java.nio.Buffer;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;

/** A column of texts on its way in: direct buffers with Arrow's layout, used again and again. */
public final class TextColumn {
  private final ByteBuffer valid = direct(Batch.ROWS / 8);
  private final ByteBuffer offsets = direct((Batch.ROWS + 1) * 4);
  private ByteBuffer bytes = direct(Batch.ROWS * 16);
  private boolean used;

  TextColumn() {
    clear();
  }

  static ByteBuffer direct(int capacity) {
    return ByteBuffer.allocateDirect(capacity).order(ByteOrder.LITTLE_ENDIAN);
  }

  void clear() {
    used = false;
    ((Buffer) bytes).clear();
    ((Buffer) offsets).clear();
    offsets.putInt(0);
    zero(valid);
  }

  static void zero(ByteBuffer bits) {
    for (int i = 0; i < bits.capacity(); i += 8) {
      bits.putLong(i, 0);
    }
  }

  /** The value of the next row; null: none. */
  public void add(String text) {
    add(text == null ? null : text.getBytes(StandardCharsets.UTF_8));
  }

  /** The value of the next row in UTF-8; null: none. */
  public void add(byte[] text) {
    if (text == null) {
      offsets.putInt(bytes.position());
    } else {
      reserve(text.length);
      bytes.put(text);
      end();
    }
  }

  /** The value of the next row in UTF-8: what is left of the buffer. */
  public void add(ByteBuffer text) {
    reserve(text.remaining());
    bytes.put(text);
    end();
  }

  private void end() {
    int row = offsets.position() / 4 - 1;
    valid.put(row >> 3, (byte) (valid.get(row >> 3) | 1 << (row & 7)));
    offsets.putInt(bytes.position());
    used = true;
  }

  /** Room for so many more bytes. */
  private void reserve(int more) {
    if (bytes.remaining() >= more) {
      return;
    }
    long wanted = Math.max((long) bytes.position() + more, 2L * bytes.capacity());
    if ((long) bytes.position() + more > Integer.MAX_VALUE - 8) {
      throw new IllegalArgumentException("a batch of texts of more than 2 GiB");
    }
    ByteBuffer larger = direct((int) Math.min(wanted, Integer.MAX_VALUE - 8));
    ((Buffer) bytes).flip();
    larger.put(bytes);
    bytes = larger;
  }

  boolean isLong() {
    return bytes.position() > Batch.BYTES;
  }

  /** Bitmap, offsets and bytes; three nulls if no row has a value. */
  void buffers(ByteBuffer[] all, int first) {
    if (used) {
      all[first] = valid;
      all[first + 1] = filled(offsets);
      all[first + 2] = filled(bytes);
    }
  }

  static ByteBuffer filled(ByteBuffer buffer) {
    ByteBuffer part = buffer.duplicate();
    ((Buffer) part).flip();
    return part.slice();
  }
}
