package dev.arblast.spark;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.util.Random;
import java.util.zip.GZIPInputStream;
import java.util.zip.GZIPOutputStream;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.Path;
import org.apache.hadoop.io.BytesWritable;
import org.apache.hadoop.io.NullWritable;
import org.apache.hadoop.mapreduce.RecordReader;
import org.apache.hadoop.mapreduce.TaskAttemptID;
import org.apache.hadoop.mapreduce.lib.input.FileSplit;
import org.apache.hadoop.mapreduce.task.TaskAttemptContextImpl;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Every line is read once, however a file is split. */
class TextBlocksTest {
  private static final TaskAttemptContextImpl TASK = new TaskAttemptContextImpl(new Configuration(), new TaskAttemptID());

  @TempDir java.nio.file.Path folder;

  /** The lines of a split, and that blocks are made of whole ones. */
  private static String read(java.nio.file.Path file, long start, long length) throws IOException, InterruptedException {
    StringBuilder text = new StringBuilder();
    String all = all(file);
    try (RecordReader<NullWritable, BytesWritable> reader = new TextBlocks().createRecordReader(null, null)) {
      reader.initialize(
          new FileSplit(new Path(file.toUri()), start, length, new String[0]), TASK);
      while (reader.nextKeyValue()) {
        String block = new String(reader.getCurrentValue().copyBytes(), StandardCharsets.UTF_8);
        assertFalse(block.isEmpty());
        assertTrue(block.endsWith("\n") || all.endsWith(block), "a block ends within a line");
        text.append(block);
      }
    }
    return text.toString();
  }

  private static String all(java.nio.file.Path file) throws IOException {
    InputStream raw = Files.newInputStream(file);
    try (InputStream in = file.toString().endsWith(".gz") ? new GZIPInputStream(raw) : raw) {
      java.io.ByteArrayOutputStream out = new java.io.ByteArrayOutputStream();
      org.apache.hadoop.io.IOUtils.copyBytes(in, out, 1 << 16, false);
      return new String(out.toByteArray(), StandardCharsets.UTF_8);
    }
  }

  private static String inSplits(java.nio.file.Path file, int size) throws IOException, InterruptedException {
    StringBuilder text = new StringBuilder();
    long length = Files.size(file);
    for (long start = 0; start < length; start += size) {
      text.append(read(file, start, Math.min(size, length - start)));
    }
    return text.toString();
  }

  private static void assertAllSplits(java.nio.file.Path file, String text) throws IOException, InterruptedException {
    Files.write(file, text.getBytes(StandardCharsets.UTF_8));
    for (int size = 1; size <= text.length() + 1; size++) {
      assertEquals(text, inSplits(file, size), "splits of " + size + " bytes of " + text.replace("\n", "|"));
    }
  }

  @Test
  void everySplitOfEveryShape() throws Exception {
    java.nio.file.Path file = folder.resolve("lines");
    for (String text : new String[] {"a\n", "a", "\n", "\n\n\na", "ab\ncd\nef\n", "ab\n\ncd\nefg", "abcdef\nx\ny\nz"}) {
      assertAllSplits(file, text);
    }
    Random random = new Random(7);
    for (int round = 0; round < 25; round++) {
      StringBuilder text = new StringBuilder();
      for (int i = random.nextInt(40); i >= 0; i--) {
        text.append(random.nextInt(3) == 0 ? '\n' : (char) ('a' + random.nextInt(26)));
      }
      assertAllSplits(file, text.toString());
    }
  }

  @Test
  void linesAcrossBlocksAndLongerThanThem() throws Exception {
    java.nio.file.Path file = folder.resolve("long");
    StringBuilder text = new StringBuilder();
    Random random = new Random(8);
    for (int i = 0; i < 60; i++) {
      int length = i == 30 ? 3 * TextBlocks.BLOCK : random.nextInt(200_000);
      for (int k = 0; k < length; k++) {
        text.append((char) ('a' + (i + k) % 26));
      }
      text.append('\n');
    }
    Files.write(file, text.toString().getBytes(StandardCharsets.UTF_8));
    for (int size : new int[] {100_003, TextBlocks.BLOCK, 5_000_000, 1 << 30}) {
      assertTrue(text.toString().equals(inSplits(file, size)), "splits of " + size);
    }
  }

  @Test
  void compressedFilesAreOneSplit() throws Exception {
    java.nio.file.Path file = folder.resolve("lines.gz");
    try (OutputStream out = new GZIPOutputStream(Files.newOutputStream(file))) {
      out.write("one\ntwo\nthree".getBytes(StandardCharsets.UTF_8));
    }
    assertFalse(new TextBlocks().isSplitable(new TaskAttemptContextImpl(new Configuration(), new TaskAttemptID()), new Path(file.toUri())));
    assertEquals("one\ntwo\nthree", read(file, 0, Files.size(file)));
  }
}
