package dev.arblast.internal;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;

/** What goes into a batch is what its buffers say. */
class BatchTest {
  private final Random random = new Random(5);

  @Test
  void columnsAreAsTheyWereFilled() {
    Batch batch = new Batch(3, 2);
    for (int round = 0; round < 60; round++) {
      // None, some or all rows have no value; some rounds outgrow the buffers.
      int absent = new int[] {0, 3, 10}[round % 3];
      int longest = round % 7 == 0 ? 3000 : 12;
      List<byte[][]> texts = new ArrayList<>();
      List<Long[]> numbers = new ArrayList<>();
      boolean full = false;
      for (int rows = random.nextInt(round % 10 == 0 ? 9000 : 50); rows >= 0 && !full; rows--) {
        texts.add(new byte[][] {text(0, longest), text(absent, longest), text(absent, longest)});
        numbers.add(new Long[] {number(absent), number(10)});
        full = fill(batch, texts.get(texts.size() - 1), numbers.get(numbers.size() - 1));
      }
      assertEquals(texts.size(), batch.rows());
      ByteBuffer[] buffers = batch.buffers();
      assertEquals(3 * 3 + 2 * 2, buffers.length);
      for (int column = 0; column < 3; column++) {
        int number = column;
        assertArrayEquals(texts.stream().map(row -> row[number]).toArray(byte[][]::new), texts(buffers, column * 3, texts.size()));
      }
      for (int column = 0; column < 2; column++) {
        int number = column;
        assertArrayEquals(numbers.stream().map(row -> row[number]).toArray(Long[]::new), numbers(buffers, 9 + column * 2, texts.size()));
      }
      batch.clear();
    }
  }

  @Test
  void aBatchIsFullByRowsOrBytes() {
    Batch batch = new Batch(1, 0);
    for (int row = 1; row <= Batch.ROWS; row++) {
      batch.text(0).add("a");
      assertEquals(row == Batch.ROWS, batch.endRow());
    }
    assertThrows(IndexOutOfBoundsException.class, () -> batch.text(0).add("a"));
    batch.clear();
    batch.text(0).add(new byte[Batch.BYTES]);
    assertEquals(false, batch.endRow());
    batch.text(0).add("a");
    assertEquals(true, batch.endRow());
  }

  private byte[] text(int absentOfTen, int longest) {
    if (random.nextInt(10) < absentOfTen) {
      return null;
    }
    byte[] text = new byte[random.nextInt(longest)];
    Arrays.fill(text, (byte) ('a' + random.nextInt(26)));
    return text;
  }

  private Long number(int absentOfTen) {
    return random.nextInt(10) < absentOfTen ? null : Long.valueOf(random.nextLong());
  }

  private boolean fill(Batch batch, byte[][] texts, Long[] numbers) {
    for (int column = 0; column < texts.length; column++) {
      byte[] text = texts[column];
      if (text == null || column == 0) {
        batch.text(column).add(text);
      } else if (column == 1) {
        batch.text(column).add(new String(text, UTF_8));
      } else {
        batch.text(column).add(ByteBuffer.wrap(text));
      }
    }
    for (int column = 0; column < numbers.length; column++) {
      batch.number(column, numbers[column]);
    }
    return batch.endRow();
  }

  private static boolean isValid(ByteBuffer bits, int row) {
    return bits == null || (bits.get(row / 8) >> row % 8 & 1) == 1;
  }

  private static byte[][] texts(ByteBuffer[] buffers, int first, int rows) {
    byte[][] texts = new byte[rows][];
    ByteBuffer offsets = buffers[first + 1];
    if (offsets == null) {
      assertNull(buffers[first], "a bitmap of an absent column");
      return texts;
    }
    assertEquals((rows + 1) * 4, offsets.capacity());
    assertEquals(offsets.getInt(rows * 4), buffers[first + 2].capacity());
    for (int row = 0; row < rows; row++) {
      byte[] text = new byte[offsets.getInt(row * 4 + 4) - offsets.getInt(row * 4)];
      ByteBuffer bytes = buffers[first + 2].duplicate();
      bytes.position(offsets.getInt(row * 4));
      bytes.get(text);
      texts[row] = isValid(buffers[first], row) ? text : null;
    }
    return texts;
  }

  private static Long[] numbers(ByteBuffer[] buffers, int first, int rows) {
    Long[] numbers = new Long[rows];
    for (int row = 0; row < rows && buffers[first + 1] != null; row++) {
      numbers[row] = isValid(buffers[first], row) ? Long.valueOf(buffers[first + 1].getLong(row * 8)) : null;
    }
    return numbers;
  }
}
