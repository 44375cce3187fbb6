package dev.arblast.internal;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.nio.Buffer;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;
import java.util.Random;
import java.util.function.Supplier;
import java.util.zip.CRC32;

/** Makes right arguments wrong, and some from nothing. Few are large. */
final class Mutator {
  private static final int HUGE = 4 << 20;
  private static final ByteBuffer HUGE_BUFFER = TextColumn.direct(HUGE);
  private static final long[] LONGS = {0, 1, 2, 3, 5, 1000, -1, Long.MAX_VALUE, Long.MIN_VALUE, Integer.MAX_VALUE, 1L << 32, 1L << 62};
  private static final int[] INTS = {0, 1, 2, 3, 7, 31, 1000, -1, -2, Integer.MAX_VALUE, Integer.MIN_VALUE, 1 << 30, 65_536};
  private static final String[] TOKENS = {
    "0", "-1", "1", "2", "0.5", "1e308", "-1e308", "1e999", "9223372036854775807", "18446744073709551616", "4294967296", "2147483647",
    "null", "true", "\"\"", "\"x\"", "\"\\ud83d\"", "\"\\u0000\"", "[]", "{}", "[[\"a\"]]",
  };

  private final Random random;

  Mutator(Random random) {
    this.random = random;
  }

  long number() {
    return random.nextInt(4) == 0 ? random.nextLong() : LONGS[random.nextInt(LONGS.length)];
  }

  int small() {
    return random.nextInt(4) == 0 ? random.nextInt(30) : INTS[random.nextInt(INTS.length)];
  }

  /** Bytes that were right. */
  byte[] bytes(byte[] right) {
    switch (random.nextInt(9)) {
      case 0:
        return null;
      case 1:
        return new byte[0];
      case 2:
        byte[] noise = new byte[random.nextInt(300)];
        random.nextBytes(noise);
        return noise;
      case 3:
        return random.nextInt(20) == 0 ? new byte[HUGE] : Arrays.copyOf(right, right.length + random.nextInt(40));
      case 4:
        return Arrays.copyOf(right, random.nextInt(right.length + 1));
      case 5:
        return flipped(right);
      case 6:
        return spliced(right);
      case 7:
        return sealed(random.nextBoolean() ? flipped(right) : spliced(right));
      default:
        return text(right);
    }
  }

  private byte[] flipped(byte[] right) {
    byte[] bytes = right.clone();
    for (int n = 1 + random.nextInt(3); n > 0 && bytes.length > 0; n--) {
      bytes[random.nextInt(bytes.length)] ^= (byte) (1 << random.nextInt(8));
    }
    return bytes;
  }

  /** A piece is put where another was. */
  private byte[] spliced(byte[] right) {
    byte[] bytes = right.clone();
    int length = random.nextInt(bytes.length / 2 + 1);
    int from = random.nextInt(bytes.length - length + 1);
    System.arraycopy(right, from, bytes, random.nextInt(bytes.length - length + 1), length);
    return bytes;
  }

  /** With the checksum that portions, blocks and the like end with: what gets through to those who read them. */
  static byte[] sealed(byte[] bytes) {
    if (bytes.length < 4) {
      return bytes;
    }
    CRC32 sum = new CRC32();
    sum.update(bytes, 0, bytes.length - 4);
    ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN).putInt(bytes.length - 4, (int) sum.getValue());
    return bytes;
  }

  /** JSON with another value in some place, or a great depth. */
  private byte[] text(byte[] right) {
    String text = new String(right, UTF_8);
    if (random.nextInt(10) == 0) {
      char[] open = new char[100_000];
      Arrays.fill(open, random.nextBoolean() ? '[' : '{');
      return (text.substring(0, text.indexOf(':') + 1) + new String(open)).getBytes(UTF_8);
    }
    String[] parts = text.split("(?<=:)", -1);
    if (parts.length > 1) {
      int changed = 1 + random.nextInt(parts.length - 1);
      parts[changed] = TOKENS[random.nextInt(TOKENS.length)] + parts[changed].replaceFirst("^(\"[^\"]*\"|[^,}\\]]*)", "");
    }
    return String.join("", parts).getBytes(UTF_8);
  }

  /** Columns that were right; the buffers themselves stay as they are. */
  ByteBuffer[] columns(ByteBuffer[] right) {
    if (random.nextInt(30) == 0) {
      return null;
    }
    if (random.nextInt(20) == 0) {
      return Arrays.copyOf(right, random.nextInt(right.length + 2));
    }
    ByteBuffer[] columns = right.clone();
    for (int n = 1 + random.nextInt(2); n > 0; n--) {
      int index = random.nextInt(columns.length);
      columns[index] = buffer(columns[index], () -> right[random.nextInt(right.length)]);
    }
    return columns;
  }

  private ByteBuffer buffer(ByteBuffer right, Supplier<ByteBuffer> other) {
    if (right == null || random.nextInt(8) == 0) {
      return random.nextBoolean() ? other.get() : HUGE_BUFFER;
    }
    ByteBuffer copy = TextColumn.direct(right.capacity());
    copy.duplicate().put((ByteBuffer) ((Buffer) right.duplicate()).clear());
    switch (random.nextInt(9)) {
      case 0:
        return null;
      case 1:
        return ByteBuffer.allocate(right.capacity());
      case 2:
        return random.nextBoolean() ? right.asReadOnlyBuffer() : TextColumn.direct(0);
      case 3:
        ((Buffer) copy).limit(random.nextInt(copy.capacity() + 1));
        return copy.slice();
      case 4:
      case 5:
        return withByte(copy);
      default:
        return withOffset(copy);
    }
  }

  private ByteBuffer withByte(ByteBuffer copy) {
    if (copy.capacity() > 0) {
      int[] bytes = {0, 0xff, 0xc3, 0x80, 0xf0, 0xed, random.nextInt(256)};
      copy.put(random.nextInt(copy.capacity()), (byte) bytes[random.nextInt(bytes.length)]);
    }
    return copy;
  }

  /** An offset that descends, exceeds, is negative or splits a character. */
  private ByteBuffer withOffset(ByteBuffer copy) {
    if (copy.capacity() >= 4) {
      int at = random.nextInt(copy.capacity() / 4) * 4;
      int was = copy.getInt(at);
      int[] offsets = {was + 1, was - 1, was + 4, -1, Integer.MIN_VALUE, Integer.MAX_VALUE, 0, random.nextInt(100)};
      copy.putInt(at, offsets[random.nextInt(offsets.length)]);
    }
    return copy;
  }

  /** Writes into a buffer, whoever reads it. */
  void scribble(ByteBuffer buffer) {
    if (buffer != null && buffer.isDirect() && buffer.capacity() >= 4) {
      buffer.putInt(random.nextInt(buffer.capacity() - 3), random.nextInt());
    }
  }
}
