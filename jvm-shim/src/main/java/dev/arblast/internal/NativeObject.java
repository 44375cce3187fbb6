package dev.arblast.internal;

import java.lang.ref.PhantomReference;
import java.lang.ref.ReferenceQueue;
import java.util.Collections;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.LongSupplier;

/**
 * Owner of a native object. {@link #close} frees it, once; an owner that was forgotten is found by the garbage collector, and its object is
 * freed when the next one is made.
 */
public abstract class NativeObject implements AutoCloseable {
  private static final ReferenceQueue<NativeObject> FORGOTTEN = new ReferenceQueue<>();
  private static final Set<Key> KEYS = Collections.newSetFromMap(new ConcurrentHashMap<>());

  private final Key key;

  /** {@code open} makes the native object and gives its key. */
  protected NativeObject(LongSupplier open) {
    NativeLibrary.check();
    freeForgotten();
    this.key = new Key(this, open.getAsLong());
    KEYS.add(this.key);
  }

  /** The key of the native object. */
  final long key() {
    long open = key.open.get();
    if (open == 0) {
      throw new IllegalStateException(getClass().getSimpleName() + " is closed");
    }
    return open;
  }

  @Override
  public final void close() {
    key.close();
  }

  private static void freeForgotten() {
    for (Object key = FORGOTTEN.poll(); key != null; key = FORGOTTEN.poll()) {
      ((Key) key).close();
    }
  }

  private static final class Key extends PhantomReference<NativeObject> {
    private final AtomicLong open;

    Key(NativeObject owner, long key) {
      super(owner, FORGOTTEN);
      open = new AtomicLong(key);
    }

    void close() {
      long key = open.getAndSet(0);
      if (key != 0) {
        Native.close(key);
        KEYS.remove(this);
      }
    }
  }
}
