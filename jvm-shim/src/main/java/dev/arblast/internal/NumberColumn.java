package dev.arblast.internal;

import java.nio.Buffer;
import java.nio.ByteBuffer;
import java.util.Arrays;

/** A column of 64-bit numbers on its way in, used again and again; gathered in arrays as a {@link TextColumn} is. */
final class NumberColumn {
  private final long[] values = new long[Batch.ROWS];
  private final byte[] valid = new byte[Batch.ROWS / 8];
  private final ByteBuffer validBuffer = TextColumn.direct(valid.length);
  private final ByteBuffer valueBuffer = TextColumn.direct(values.length * 8);
  private boolean used;

  void clear() {
    if (used) {
      used = false;
      Arrays.fill(valid, (byte) 0);
    }
  }

  void set(int row, long value) {
    used = true;
    valid[row >> 3] |= (byte) (1 << (row & 7));
    values[row] = value;
  }

  /** Bitmap and values of so many rows; two nulls if none has a value. */
  void buffers(ByteBuffer[] all, int first, int rows) {
    if (used) {
      all[first] = TextColumn.filled(validBuffer, valid, (rows + 7) / 8);
      ((Buffer) valueBuffer).clear();
      valueBuffer.asLongBuffer().put(values, 0, rows);
      all[first + 1] = TextColumn.part(valueBuffer, rows * 8);
    }
  }
}
