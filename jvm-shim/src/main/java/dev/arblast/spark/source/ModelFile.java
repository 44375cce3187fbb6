package dev.arblast.spark.source;

import java.io.ByteArrayOutputStream;
import java.io.FileNotFoundException;
import java.io.IOException;
import java.io.InputStream;
import java.io.Serializable;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Paths;
import java.nio.file.StandardCopyOption;
import java.util.NoSuchElementException;
import java.util.Objects;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FileStatus;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.Path;

/** The file of a model as it was when the driver looked for it: one generation, wherever it is. It travels with tasks. */
public final class ModelFile implements Serializable {
  private static final long serialVersionUID = 1;
  private static final String FILE = "model.arblast";
  private static final String CURRENT = "CURRENT";

  private final String path;
  private final long length;
  private final long modified;
  /** Null: the file is on the local file system. */
  private final HadoopConf conf;

  private ModelFile(FileStatus status, HadoopConf conf) {
    this.path = status.getPath().toString();
    this.length = status.getLen();
    this.modified = status.getModificationTime();
    this.conf = conf;
  }

  /**
   * Looks for it, on the driver.
   *
   * @param location a path or URL as Hadoop takes it: the file, the folder of a generation, or an engine's folder of generations, of
   *     which the current one is meant
   */
  public static ModelFile locate(String location, Configuration configuration) {
    try {
      Path place = new Path(location);
      FileSystem files = place.getFileSystem(configuration);
      FileStatus status = found(files, files.makeQualified(place), location);
      boolean local = status.getPath().toUri().getScheme().equals("file");
      return new ModelFile(status, local ? null : new HadoopConf(configuration));
    } catch (IOException error) {
      throw new UncheckedIOException("cannot look for the model " + location + ": " + error.getMessage(), error);
    }
  }

  private static FileStatus found(FileSystem files, Path place, String location) throws IOException {
    FileStatus status = status(files, place);
    if (status == null) {
      throw new NoSuchElementException("there is no model " + location + ": neither a file nor a folder is there");
    }
    if (status.isFile()) {
      return status;
    }
    FileStatus current = status(files, new Path(place, CURRENT));
    Path folder = current == null ? place : new Path(place, number(files, current.getPath()));
    FileStatus model = status(files, new Path(folder, FILE));
    if (model == null) {
      throw new NoSuchElementException(
          location + " holds no model: a file " + FILE + " would be right, or a folder of generations, which has a file " + CURRENT
              + ", such as HOME/models/ENGINE%40APP");
    }
    return model;
  }

  private static FileStatus status(FileSystem files, Path path) throws IOException {
    try {
      return files.getFileStatus(path);
    } catch (FileNotFoundException nothing) {
      return null;
    }
  }

  private static String number(FileSystem files, Path current) throws IOException {
    String number = text(files, current).trim();
    if (!number.matches("[0-9]{1,20}")) {
      throw new NoSuchElementException(current + " holds no number of a generation; roll back to one or train again");
    }
    return number;
  }

  /** The text of a small file on the driver's side, e.g. of engine.json. */
  public static String text(String location, Configuration configuration) {
    try {
      Path path = new Path(location);
      return text(path.getFileSystem(configuration), path);
    } catch (FileNotFoundException nothing) {
      throw new NoSuchElementException("there is no file " + location);
    } catch (IOException error) {
      throw new UncheckedIOException("cannot read " + location + ": " + error.getMessage(), error);
    }
  }

  private static String text(FileSystem files, Path path) throws IOException {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    try (InputStream in = files.open(path)) {
      byte[] buffer = new byte[1 << 13];
      for (int read = in.read(buffer); read >= 0; read = in.read(buffer)) {
        bytes.write(buffer, 0, read);
      }
    }
    return new String(bytes.toByteArray(), StandardCharsets.UTF_8);
  }

  /** Bytes of the file. */
  public long length() {
    return length;
  }

  boolean isLocal() {
    return conf == null;
  }

  /** The path of a file that {@link #isLocal}, here. */
  String here() {
    String file = new Path(path).toUri().getPath();
    if (!Files.isRegularFile(Paths.get(file))) {
      throw new NoSuchElementException(
          "the model " + file + " is not on this machine (" + Home.machine() + "), where a task needs it: have it at the same path on"
              + " all machines, or in a place that all can reach, such as hdfs:// or s3a://");
    }
    return file;
  }

  /** Copies a file that is not local. */
  void copyTo(java.nio.file.Path file) throws IOException {
    Path source = new Path(path);
    try (InputStream in = source.getFileSystem(conf.get()).open(source)) {
      long copied = Files.copy(in, file, StandardCopyOption.REPLACE_EXISTING);
      if (copied != length) {
        throw new IOException(path + " had " + length + " bytes and has " + copied + " now: do not change model files, publish new ones");
      }
    }
  }

  @Override
  public boolean equals(Object other) {
    return other instanceof ModelFile
        && path.equals(((ModelFile) other).path)
        && length == ((ModelFile) other).length
        && modified == ((ModelFile) other).modified;
  }

  @Override
  public int hashCode() {
    return Objects.hash(path, length, modified);
  }

  @Override
  public String toString() {
    return path;
  }
}
