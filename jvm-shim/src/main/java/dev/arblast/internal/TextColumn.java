package dev.arblast.internal;

import java.nio.Buffer;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;

/**
 * A column of texts on its way in, used again and again. Rows gather in arrays, to which the JVM writes faster than to direct buffers, and
 * go from there into buffers of Arrow's layout many at a time: bytes while they are in the processor's cache, the rest in the end.
 */
public final class TextColumn {
  private static final int LONGEST = Integer.MAX_VALUE - 8;

  /** Longer texts do not gather: to copy them twice costs more than it saves. */
  private static final int SHORT = 64;

  /** The bytes that are not in the buffer yet. */
  private final byte[] gathered = new byte[1 << 14];
  private int length;
  /** Where each row begins, and the last one ends. */
  private final int[] offsets = new int[Batch.ROWS + 1];
  /** A bit for each row, of which all are 1 until {@link #nulls}. */
  private final byte[] valid = new byte[Batch.ROWS / 8];
  private int rows;
  private boolean used;
  private boolean nulls;

  private final ByteBuffer validBuffer = direct(valid.length);
  private final ByteBuffer offsetBuffer = direct(offsets.length * 4);
  private ByteBuffer bytes = direct(Batch.ROWS * 16);

  TextColumn() {}

  static ByteBuffer direct(int capacity) {
    return ByteBuffer.allocateDirect(capacity).order(ByteOrder.LITTLE_ENDIAN);
  }

  void clear() {
    rows = 0;
    used = false;
    nulls = false;
    length = 0;
    ((Buffer) bytes).clear();
  }

  /** The value of the next row; null: none. */
  public void add(String text) {
    add(text == null ? null : text.getBytes(StandardCharsets.UTF_8));
  }

  /** The value of the next row in UTF-8; null: none. */
  public void add(byte[] text) {
    if (text == null) {
      addNull();
    } else if (gathers(text.length)) {
      System.arraycopy(text, 0, gathered, length, text.length);
      length += text.length;
      end(text.length);
    } else {
      bytes.put(text);
      end(text.length);
    }
  }

  /** The value of the next row in UTF-8: what is left of the buffer. */
  public void add(ByteBuffer text) {
    int more = text.remaining();
    if (gathers(more)) {
      text.get(gathered, length, more);
      length += more;
    } else {
      bytes.put(text);
    }
    end(more);
  }

  private void addNull() {
    if (!nulls) {
      nulls = true;
      Arrays.fill(valid, (byte) 0xff);
    }
    valid[rows >> 3] &= (byte) ~(1 << (rows & 7));
    end(0);
  }

  private void end(int more) {
    offsets[rows + 1] = offsets[rows] + more;
    rows++;
  }

  /** Makes room for a text: where rows gather, or else in the buffer, when all that has gathered is there. Gives which. */
  private boolean gathers(int more) {
    used = true;
    if (more > LONGEST - offsets[rows]) {
      throw new IllegalArgumentException("a batch of texts of more than 2 GiB");
    }
    boolean isShort = more <= SHORT;
    if (!isShort || gathered.length - length < more) {
      flush(more);
    }
    return isShort;
  }

  /** Brings what has gathered into the buffer, and makes room there for more. */
  private void flush(int more) {
    long needed = (long) bytes.position() + length + more;
    if (needed > bytes.capacity()) {
      ByteBuffer larger = direct((int) Math.min(LONGEST, Math.max(needed, 2L * bytes.capacity())));
      ((Buffer) bytes).flip();
      larger.put(bytes);
      bytes = larger;
    }
    if (length > 0) {
      bytes.put(gathered, 0, length);
      length = 0;
    }
  }

  boolean isLong() {
    return offsets[rows] > Batch.BYTES;
  }

  /** Bitmap, offsets and bytes; three nulls if no row has a value. Without a null there is no bitmap. */
  void buffers(ByteBuffer[] all, int first) {
    if (!used) {
      return;
    }
    if (nulls) {
      all[first] = filled(validBuffer, valid, (rows + 7) / 8);
    }
    ((Buffer) offsetBuffer).clear();
    offsetBuffer.asIntBuffer().put(offsets, 0, rows + 1);
    all[first + 1] = part(offsetBuffer, (rows + 1) * 4);
    flush(0);
    all[first + 2] = part(bytes, offsets[rows]);
  }

  /** The buffer with these bytes. */
  static ByteBuffer filled(ByteBuffer buffer, byte[] bytes, int length) {
    ((Buffer) buffer).clear();
    buffer.put(bytes, 0, length);
    return part(buffer, length);
  }

  /** The first bytes of a buffer. */
  static ByteBuffer part(ByteBuffer buffer, int length) {
    ByteBuffer part = buffer.duplicate();
    ((Buffer) part).clear();
    ((Buffer) part).limit(length);
    return part.slice().order(ByteOrder.LITTLE_ENDIAN);
  }
}
