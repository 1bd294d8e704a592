package guard

const sysMemfdCreate = 279
