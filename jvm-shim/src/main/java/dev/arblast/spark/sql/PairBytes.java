package dev.arblast.spark.sql;

import java.io.IOException;
import java.io.ObjectInputStream;
import java.io.ObjectOutputStream;
import java.io.Serializable;
import java.nio.ByteBuffer;
import java.util.Arrays;

/** Pairs of texts one after the other, each text as its length (7 bits a byte, the last one below 128) and its UTF-8. */
final class PairBytes implements Serializable {
  private static final long serialVersionUID = 1;
  private static final int MAX = Integer.MAX_VALUE - 8;

  private transient byte[] bytes = new byte[64];
  private transient int length;

  /** What to do with a pair. The buffers are used again. */
  interface Visit {
    void accept(ByteBuffer first, ByteBuffer second);
  }

  void add(byte[] first, byte[] second) {
    append(first);
    append(second);
  }

  private void append(byte[] text) {
    reserve(text.length + 5L);
    int rest = text.length;
    for (; rest > 127; rest >>>= 7) {
      bytes[length++] = (byte) (rest | 128);
    }
    bytes[length++] = (byte) rest;
    System.arraycopy(text, 0, bytes, length, text.length);
    length += text.length;
  }

  void addAll(PairBytes other) {
    reserve(other.length);
    System.arraycopy(other.bytes, 0, bytes, length, other.length);
    length += other.length;
  }

  private void reserve(long more) {
    if (length + more > MAX) {
      throw new IllegalStateException("correlators: a group has more than 2 GiB of ids; train it with TrainJob instead");
    }
    if (length + more > bytes.length) {
      bytes = Arrays.copyOf(bytes, (int) Math.min(MAX, Math.max(length + more, 2L * bytes.length)));
    }
  }

  void forEach(Visit visit) {
    Texts texts = new Texts();
    while (texts.at < length) {
      ByteBuffer first = texts.next();
      visit.accept(first, texts.next());
    }
  }

  /** Reads one text after the other. */
  private final class Texts {
    int at;

    ByteBuffer next() {
      int size = 0;
      int shift = 0;
      for (; bytes[at] < 0; at++, shift += 7) {
        size |= (bytes[at] & 127) << shift;
      }
      size |= bytes[at++] << shift;
      ByteBuffer text = ByteBuffer.wrap(bytes, at, size);
      at += size;
      return text;
    }
  }

  private void writeObject(ObjectOutputStream out) throws IOException {
    out.writeInt(length);
    out.write(bytes, 0, length);
  }

  private void readObject(ObjectInputStream in) throws IOException {
    length = in.readInt();
    bytes = new byte[length];
    in.readFully(bytes);
  }
}
