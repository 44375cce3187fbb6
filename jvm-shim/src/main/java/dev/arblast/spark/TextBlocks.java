package dev.arblast.spark;

import java.io.IOException;
import java.io.InputStream;
import java.util.Arrays;
import org.apache.hadoop.fs.FSDataInputStream;
import org.apache.hadoop.fs.Path;
import org.apache.hadoop.io.BytesWritable;
import org.apache.hadoop.io.NullWritable;
import org.apache.hadoop.io.compress.CompressionCodec;
import org.apache.hadoop.io.compress.CompressionCodecFactory;
import org.apache.hadoop.mapreduce.InputSplit;
import org.apache.hadoop.mapreduce.JobContext;
import org.apache.hadoop.mapreduce.RecordReader;
import org.apache.hadoop.mapreduce.TaskAttemptContext;
import org.apache.hadoop.mapreduce.lib.input.FileInputFormat;
import org.apache.hadoop.mapreduce.lib.input.FileSplit;

/** Text files by blocks of whole lines: the library takes lines apart faster than they could be handed over one by one. */
public final class TextBlocks extends FileInputFormat<NullWritable, BytesWritable> {
  static final int BLOCK = 1 << 20;
  /** A line that is longer is no line. */
  private static final int LINE_MAX = 64 << 20;

  @Override
  protected boolean isSplitable(JobContext job, Path file) {
    return codec(job.getConfiguration(), file) == null;
  }

  private static CompressionCodec codec(org.apache.hadoop.conf.Configuration hadoop, Path file) {
    return new CompressionCodecFactory(hadoop).getCodec(file);
  }

  @Override
  public RecordReader<NullWritable, BytesWritable> createRecordReader(InputSplit split, TaskAttemptContext task) {
    return new Blocks();
  }

  /** The lines that begin in a split. */
  private static final class Blocks extends RecordReader<NullWritable, BytesWritable> {
    private final BytesWritable block = new BytesWritable();
    private Path path;
    private InputStream in;
    private byte[] bytes = new byte[2 * BLOCK];
    /** Bytes that wait in {@link #bytes}, and where in the file the first of them is. */
    private int length;
    private long position;
    private long start;
    private long end;
    private boolean isOver;

    @Override
    public void initialize(InputSplit given, TaskAttemptContext task) throws IOException {
      FileSplit split = (FileSplit) given;
      path = split.getPath();
      start = split.getStart();
      end = start + split.getLength();
      FSDataInputStream file = path.getFileSystem(task.getConfiguration()).open(path);
      CompressionCodec codec = codec(task.getConfiguration(), path);
      in = codec == null ? file : codec.createInputStream(file);
      if (codec != null) {
        end = Long.MAX_VALUE;
      } else if (start > 0) {
        // One byte earlier, to see whether a line begins right here.
        file.seek(start - 1);
        position = start - 1;
        skipLine();
      }
    }

    /** To the first line that begins in the split. */
    private void skipLine() throws IOException {
      boolean more = true;
      while (more) {
        more = fill();
        int lineEnd = find(bytes, 0, length);
        if (lineEnd >= 0) {
          drop(lineEnd + 1);
          return;
        }
        drop(length);
      }
    }

    @Override
    public boolean nextKeyValue() throws IOException {
      int lines = 0;
      while (lines == 0 && !isOver && position < end) {
        boolean more = fill();
        lines = wholeLines(more);
        isOver |= !more && lines == length;
        if (lines == 0 && length > LINE_MAX) {
          throw new IOException(path + ": the line at byte " + position + " is longer than 64 MiB");
        }
      }
      block.set(bytes, 0, lines);
      drop(lines);
      return lines > 0;
    }

    /** Bytes up to the end of the last whole line that begins in the split; without an end of file, lines end with a line feed. */
    private int wholeLines(boolean more) {
      if (position + length >= end) {
        int lineEnd = find(bytes, (int) Math.max(0, end - 1 - position), length);
        if (lineEnd >= 0) {
          isOver = true;
          return lineEnd + 1;
        }
      } else {
        for (int i = length - 1; i >= 0; i--) {
          if (bytes[i] == '\n') {
            return i + 1;
          }
        }
      }
      return more ? 0 : length;
    }

    /** Reads on; false at the end of the file, even if there was something before it. */
    private boolean fill() throws IOException {
      if (length == bytes.length) {
        bytes = Arrays.copyOf(bytes, 2 * bytes.length);
      }
      int wanted = Math.min(bytes.length, length + BLOCK);
      while (length < wanted) {
        int read = in.read(bytes, length, wanted - length);
        if (read < 0) {
          return false;
        }
        length += read;
      }
      return true;
    }

    private void drop(int count) {
      System.arraycopy(bytes, count, bytes, 0, length - count);
      length -= count;
      position += count;
    }

    private static int find(byte[] bytes, int from, int to) {
      for (int i = from; i < to; i++) {
        if (bytes[i] == '\n') {
          return i;
        }
      }
      return -1;
    }

    @Override
    public NullWritable getCurrentKey() {
      return NullWritable.get();
    }

    @Override
    public BytesWritable getCurrentValue() {
      return block;
    }

    @Override
    public float getProgress() {
      return end == Long.MAX_VALUE || end == start ? 0 : Math.min(1f, (position - start) / (float) (end - start));
    }

    @Override
    public void close() throws IOException {
      if (in != null) {
        in.close();
      }
    }
  }
}
