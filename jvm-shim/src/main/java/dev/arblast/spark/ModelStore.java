package dev.arblast.spark;

import dev.arblast.UnavailableException;
import dev.arblast.internal.TrainingSession;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.util.function.Consumer;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FSDataOutputStream;
import org.apache.hadoop.fs.FileAlreadyExistsException;
import org.apache.hadoop.fs.FileContext;
import org.apache.hadoop.fs.FileStatus;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.Options;
import org.apache.hadoop.fs.Path;
import org.apache.hadoop.io.IOUtils;

/**
 * A folder of models at any Hadoop URL, laid out as `docs/model-format.md` says: one folder per engine, numbered generations, a pointer.
 * A local folder is written by the library itself, which locks it. Elsewhere a generation is complete under a temporary name before it is
 * renamed, and only then pointed to; two trains of one engine at the same time get different numbers.
 */
final class ModelStore {
  private static final String CURRENT = "CURRENT";
  private static final String MODEL = "model.arblast";
  private static final String INFO = "info.json";
  private static final Pattern CORRELATORS = Pattern.compile("\"correlators\":(\\d+)");

  private final Path folder;
  private final Configuration hadoop;

  /** The URL may be relative, to the default file system and the working folder. */
  ModelStore(String url, Configuration hadoop) throws IOException {
    this.folder = new Path(url).getFileSystem(hadoop).makeQualified(new Path(url));
    this.hadoop = hadoop;
  }

  /** The local folder that the URL names; null if it is elsewhere. */
  private String local() {
    return "file".equals(folder.toUri().getScheme()) ? folder.toUri().getPath() : null;
  }

  /** Is it there, or could it be? Better known before a long train than after. */
  void check() {
    try {
      folder.getFileSystem(hadoop).exists(folder);
    } catch (IOException error) {
      throw new UnavailableException("--models " + folder + " cannot be reached: " + error.getMessage(), error);
    }
  }

  /** Publishes the model of a session, also to search servers; gives what there is to tell as JSON. */
  String publish(TrainingSession session, String run, long startedMs, boolean force, String index, Consumer<String> told)
      throws IOException {
    String local = local();
    if (local != null) {
      return session.publish(local, run, startedMs, -1, force, index, told);
    }
    java.nio.file.Path scratch = java.nio.file.Files.createTempDirectory("arblast-model");
    try {
      // The name of the engine's folder is known before its model is there.
      Path engine = new Path(folder, session.engineFolder());
      FileSystem files = engine.getFileSystem(hadoop);
      // The index comes first: if that fails, nothing has changed here.
      String outcome = session.publish(scratch.toString(), run, startedMs, correlatorsInUse(files, engine), force, index, told);
      Path written = new Path(scratch.resolve(session.engineFolder()).resolve(name(1)).toUri());
      long generation = upload(files, engine, written, run);
      return outcome.replaceFirst("\"generation\":1,", "\"generation\":" + generation + ",")
          .replaceFirst("\"directory\":\"(?:[^\"\\\\]|\\\\.)*\"", "\"directory\":\"" + Matcher.quoteReplacement(engine.toString()) + "\"");
    } finally {
      FileSystem.getLocal(hadoop).delete(new Path(scratch.toUri()), true);
    }
  }

  /** The file of the model in use, on this machine; null: there is none. */
  String currentModel(String engineFolder) throws IOException {
    Path engine = new Path(folder, engineFolder);
    FileSystem files = engine.getFileSystem(hadoop);
    Long current = current(files, engine);
    if (current == null) {
      return null;
    }
    Path model = new Path(new Path(engine, name(current)), MODEL);
    if (local() != null) {
      return model.toUri().getPath();
    }
    java.nio.file.Path copy = java.nio.file.Files.createTempFile("arblast-", ".model");
    copy.toFile().deleteOnExit();
    files.copyToLocalFile(false, model, new Path(copy.toUri()), true);
    return copy.toString();
  }

  private static long correlatorsInUse(FileSystem files, Path engine) throws IOException {
    Long current = current(files, engine);
    if (current == null) {
      return -1;
    }
    Matcher found = CORRELATORS.matcher(read(files, new Path(new Path(engine, name(current)), INFO)));
    return found.find() ? Long.parseLong(found.group(1)) : -1;
  }

  private static Long current(FileSystem files, Path engine) throws IOException {
    Path pointer = new Path(engine, CURRENT);
    return files.exists(pointer) ? Long.valueOf(read(files, pointer).trim()) : null;
  }

  private static String read(FileSystem files, Path path) throws IOException {
    try (InputStream in = files.open(path)) {
      java.io.ByteArrayOutputStream out = new java.io.ByteArrayOutputStream();
      IOUtils.copyBytes(in, out, 1 << 16, false);
      return new String(out.toByteArray(), StandardCharsets.UTF_8);
    }
  }

  private long upload(FileSystem files, Path engine, Path written, String run) throws IOException {
    Path temporary = new Path(engine, "tmp-" + run);
    files.delete(temporary, true);
    files.mkdirs(temporary);
    for (String file : new String[] {MODEL, INFO}) {
      files.copyFromLocalFile(false, true, new Path(written, file), new Path(temporary, file));
    }
    FileContext context = FileContext.getFileContext(engine.toUri(), hadoop);
    long generation = number(files, context, engine, temporary);
    Path next = new Path(engine, CURRENT + ".next-" + run);
    try (FSDataOutputStream out = files.create(next, true)) {
      out.write((name(generation) + "\n").getBytes(StandardCharsets.UTF_8));
      out.hsync();
    }
    context.rename(next, new Path(engine, CURRENT), Options.Rename.OVERWRITE);
    return generation;
  }

  /** Gives a complete generation the next number that is free. */
  private static long number(FileSystem files, FileContext context, Path engine, Path temporary) throws IOException {
    for (long generation = newest(files, engine) + 1; ; generation++) {
      try {
        context.rename(temporary, new Path(engine, name(generation)));
        return generation;
      } catch (FileAlreadyExistsException another) {
        // Another train of this engine was faster.
      }
    }
  }

  private static long newest(FileSystem files, Path engine) throws IOException {
    Long current = current(files, engine);
    long newest = current == null ? 0 : current;
    for (FileStatus status : files.listStatus(engine)) {
      if (status.getPath().getName().matches("\\d{10,}")) {
        newest = Math.max(newest, Long.parseLong(status.getPath().getName()));
      }
    }
    return newest;
  }

  private static String name(long generation) {
    return String.format("%010d", generation);
  }
}
