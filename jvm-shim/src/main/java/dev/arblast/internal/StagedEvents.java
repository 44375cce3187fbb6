package dev.arblast.internal;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.io.Serializable;
import java.io.UncheckedIOException;
import java.nio.Buffer;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.zip.Deflater;
import java.util.zip.DeflaterOutputStream;
import java.util.zip.InflaterInputStream;

/** Checked events on their way from a task to whoever stores them: batches of columns, compressed. */
public final class StagedEvents implements Serializable {
  private static final long serialVersionUID = 1;

  private final List<byte[]> batches = new ArrayList<>();
  private long rows;

  /** What to do with the columns of {@link Native#pushEvents}. */
  interface Visit {
    void accept(int rows, ByteBuffer[] columns);
  }

  /** Takes the rows of a batch, which is empty then. If one is no event, the exception says which, and why. */
  public void add(Batch events) {
    if (events.rows() > 0) {
      ByteBuffer[] columns = events.buffers();
      Native.checkEvents(events.rows(), columns);
      batches.add(packed(events.rows(), columns));
      rows += events.rows();
      events.clear();
    }
  }

  /** Events that were added. */
  public long rows() {
    return rows;
  }

  void forEach(Visit visit) {
    for (byte[] batch : batches) {
      try (DataInputStream in = new DataInputStream(new InflaterInputStream(new ByteArrayInputStream(batch)))) {
        int batchRows = in.readInt();
        visit.accept(batchRows, columns(in));
      } catch (IOException error) {
        throw new UncheckedIOException("staged events are damaged", error);
      }
    }
  }

  /** Rows, number of columns, then of each its length (-1: absent) and bytes. */
  private static byte[] packed(int rows, ByteBuffer[] columns) {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    Deflater deflater = new Deflater(Deflater.BEST_SPEED);
    try (DataOutputStream out = new DataOutputStream(new DeflaterOutputStream(bytes, deflater))) {
      out.writeInt(rows);
      out.writeInt(columns.length);
      for (ByteBuffer column : columns) {
        out.writeInt(column == null ? -1 : column.capacity());
        if (column != null) {
          out.write(copied(column));
        }
      }
    } catch (IOException error) {
      throw new UncheckedIOException(error);
    } finally {
      deflater.end();
    }
    return bytes.toByteArray();
  }

  private static byte[] copied(ByteBuffer column) {
    byte[] copy = new byte[column.capacity()];
    ByteBuffer all = column.duplicate();
    ((Buffer) all).clear();
    all.get(copy);
    return copy;
  }

  private static ByteBuffer[] columns(DataInputStream in) throws IOException {
    ByteBuffer[] columns = new ByteBuffer[in.readInt()];
    for (int i = 0; i < columns.length; i++) {
      int length = in.readInt();
      if (length >= 0) {
        byte[] bytes = new byte[length];
        in.readFully(bytes);
        columns[i] = TextColumn.direct(length);
        columns[i].put(bytes);
      }
    }
    return columns;
  }
}
